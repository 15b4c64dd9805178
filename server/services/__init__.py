"""The servicers: one short method for each RPC: convert, call, convert."""
