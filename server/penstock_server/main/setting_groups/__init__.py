"""The settings of each subject, a class of fields each. `settings.py` makes one object of them."""
