"""nginx: its configuration files, its reload and its proof."""
