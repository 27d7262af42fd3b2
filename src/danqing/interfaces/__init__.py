"""People come in here: the command line and, later, the web."""
