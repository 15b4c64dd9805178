"""Between the wire's messages and our values; every invalid field is found here and named."""
