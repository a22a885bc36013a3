//! The wire to Tyk: gateway client and its errors. It knows nothing of Kubernetes.
