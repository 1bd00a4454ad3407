"""OpenAI's stateful Responses API on top of any provider of chat completions."""
