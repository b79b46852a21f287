"""What generated videos are judged by; torchmetrics classes over pure functions, none knows of Lightning."""
