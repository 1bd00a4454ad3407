"""What tests of the user service start from."""
