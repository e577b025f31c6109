"""The scripts that trained the samples: `cd tests`, then `python -m training.review`."""
