"""The edge: the OpenAI API over HTTP and SSE, authentication and request limits."""
