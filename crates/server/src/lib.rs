//! The node: gRPC over TLS, authorisation, routing, configuration.
