"""The checks of the whole program against the test bed, through the command line alone."""
