"""The use cases of the user service, by resource. No gRPC, no SQL, no environment."""
