"""Where the distance between two voters stands in a row of distances.

The pairs are ordered (0,1), (0,2), (1,2), (0,3), ...: a new voter only appends
columns, so rows that were written before it stay valid prefixes.
"""


def pair_count(voters: int) -> int:
    """Returns how many pairs `voters` voters make, K(K-1)/2."""
    return voters * (voters - 1) // 2


def pair_column(i: int, j: int) -> int:
    """Returns the column of the pair of two different voters, in either order."""
    low, high = min(i, j), max(i, j)
    return high * (high - 1) // 2 + low
