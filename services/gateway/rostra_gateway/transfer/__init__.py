"""Conversations on their way out, as JSON or Markdown, and in, from our own exports and from ChatGPT's."""
