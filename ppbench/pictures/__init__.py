"""Pictures of a run: its images, found again and made again, with what the model said of them."""
