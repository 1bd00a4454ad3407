"""Tests that break processes while the whole product works."""
