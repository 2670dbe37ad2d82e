"""The steps of the work, one verb per module, and the command line that types them."""
