"""One file per kind: native object to routes and limits, and changes to JSON Patch operations. Pure, no I/O."""
