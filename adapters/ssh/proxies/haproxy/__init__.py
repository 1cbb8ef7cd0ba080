"""HAProxy: its configuration files, its stats socket, its reload and its proof."""
