//! Runs `tyk-ingress` as a black box against a real Kubernetes API and a Tyk gateway, all on the loopback interface.
//!
//! [`Scenario`] is what a test starts from; the other modules are its parts and can be used alone.

pub mod api_definition;
pub mod apply;
pub mod assets;
pub mod audit;
pub mod control_plane;
pub mod dashboard;
pub mod echo;
pub mod eventually;
pub mod examples;
pub mod fixtures;
pub mod gateway;
pub mod http;
pub mod https;
pub mod load;
pub mod metrics;
pub mod operator;
pub mod pki;
pub mod pods;
pub mod ports;
pub mod process;
pub mod redirector;
pub mod run_dir;
pub mod scenario;

pub use control_plane::ControlPlane;
pub use echo::Echo;
pub use eventually::{PATIENCE, eventually};
pub use gateway::GatewayUnderTest;
pub use operator::{Operator, OperatorConfig};
pub use pods::Pods;
pub use scenario::{Backend, Scenario};
