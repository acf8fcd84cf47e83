"""CO3Dv2: download, read, write and check folders in its layout."""
