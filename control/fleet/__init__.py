"""Everything at one time: the inventory of all environments, services over them, and what was measured."""
