"""What works with other packages, each where that package is installed."""
