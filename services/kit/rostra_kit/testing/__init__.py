"""What the tests of every service start from."""
