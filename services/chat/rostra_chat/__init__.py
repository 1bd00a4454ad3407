"""Models and providers: runs completions and responses, meters and limits them."""
