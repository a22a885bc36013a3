//! An operator that can be killed at any point: it has a runtime of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tyk_ingress::desired::{self, Context, Fleet, GatewayService, Installation, Operator};
use tyk_ingress::ingress::{Options, render};
use tyk_ingress::permit::Permit;
use tyk_ingress::sync::{Found, Outcome, Workers};

use crate::manifests::Manifests;

pub const OWNER: &str = "tyk-ingress";

/// What the manifests mean for gateways with this secret.
pub fn translate(manifests: &Manifests, secret: &str) -> Fleet {
    let snapshot = manifests.snapshot();
    let options = Options {
        owner: OWNER.into(),
        ..Options::default()
    };
    let translation = render(&snapshot, &options);
    let tyk = Installation {
        url: "http://gateway.test:8080".into(),
        auth: tyk_ingress::secret::Secret::new(secret),
        service: GatewayService::parse("tyk/gateway:8080"),
        ..Installation::default()
    };
    let context = Context {
        org: "org".into(),
        owner: OWNER.into(),
        tyk: Arc::new(tyk),
        ..Context::default()
    };
    desired::build_all(&snapshot, &translation, &Operator::new(context)).0
}

pub struct Process {
    runtime: Option<Runtime>,
    workers: Option<Workers>,
    outcomes: mpsc::Receiver<Outcome>,
    permit: Permit,
    cancel: CancellationToken,
    revision: u64,
    /// The latest of them.
    pub outcome: Option<Outcome>,
}

impl Process {
    /// The leader.
    pub fn start(gateways: watch::Receiver<Found>) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (sender, outcomes) = mpsc::channel(1024);
        let (permit, cancel) = (Permit::none_yet(), CancellationToken::new());
        permit.extend(Instant::now() + Duration::from_secs(3600));
        let resync = Duration::from_millis(500);
        let workers = Workers::new(OWNER.into(), resync, sender, permit.clone(), cancel.clone())
            .finding(Arc::new(move |_, _| gateways.clone()));
        Self {
            runtime: Some(runtime),
            workers: Some(workers),
            outcomes,
            permit,
            cancel,
            revision: 0,
            outcome: None,
        }
    }

    pub fn hand_over(&mut self, fleet: &Fleet) {
        self.revision += 1;
        let _entered = self.runtime.as_ref().unwrap().enter();
        self.workers.as_mut().unwrap().hand_over(self.revision, fleet);
    }

    /// Reads what there is to read; nobody may have to wait for it.
    pub fn read(&mut self) {
        while let Ok(outcome) = self.outcomes.try_recv() {
            self.outcome = Some(outcome);
        }
    }

    /// SIGKILL: no task gets to run any more.
    pub fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    /// SIGTERM.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        let (workers, outcomes) = (self.workers.take().unwrap(), &mut self.outcomes);
        let drain = async { while outcomes.recv().await.is_some() {} };
        tokio::join!(workers.ended(), drain);
        self.runtime.take().unwrap().shutdown_background();
    }

    /// Another process has the lease, and this one does not know that it has to end.
    pub fn lose_lease(&self) {
        self.permit.revoke();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
