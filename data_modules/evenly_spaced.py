"""Which of many clips or windows stand for all: a sorted data set begins with one speaker's alone."""


def evenly_spaced(total: int, count: int) -> list[int]:
    """`count` of the positions 0 to `total` - 1, ascending, from the first on; all of them where there are fewer."""
    count = min(count, total)
    return [number * total // count for number in range(count)]
