//! Whole-cluster behaviour: the sandbox that starts real nodes, and the tests on it.
