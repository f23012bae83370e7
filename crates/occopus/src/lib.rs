//! Occopus front-end: infrastructure descriptions and node definitions to the model.
