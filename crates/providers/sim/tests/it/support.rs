//! What the tests share: a clock that jumps, and short forms of requests.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use zenekar_base::{InfrastructureId, InstanceKey, InstanceTag, Millis, Timestamp, Token, Value};
use zenekar_model::Rendered;
use zenekar_provider::conformance::Pause;
use zenekar_provider::{CreateRequest, ObserveScope, Provider};
use zenekar_provider_sim::{BoxFuture, SimClock, SimProvider};
use zenekar_simcloud::Settings;

/// A clock on which whoever wants to sleep finds that the time has come.
#[derive(Default)]
pub(crate) struct JumpClock {
    now: AtomicI64,
}

impl JumpClock {
    pub(crate) fn at(now: i64) -> Arc<Self> {
        Arc::new(Self {
            now: AtomicI64::new(now),
        })
    }
}

impl SimClock for JumpClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'_> {
        Box::pin(async move {
            self.now.fetch_max(at.0, Ordering::SeqCst);
        })
    }
}

impl Pause for JumpClock {
    fn pause(&self, span: Millis) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.sleep_until(self.now() + span)
    }
}

/// Runs a future to its end on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        // What stands before providers waits with limits.
        .enable_time()
        .build()
        .expect("a runtime with nothing but a timer")
        .block_on(future)
}

pub(crate) fn write_settings(directory: &Path, settings: &Settings) {
    let text = serde_json::to_vec(settings).expect("serialises");
    std::fs::write(directory.join("settings.json"), text).expect("written");
}

pub(crate) fn open(directory: &Path, clock: &Arc<JumpClock>) -> SimProvider {
    SimProvider::open(directory, Arc::<JumpClock>::clone(clock)).expect("opens")
}

pub(crate) fn infrastructure() -> InfrastructureId {
    InfrastructureId::new("demo")
}

pub(crate) fn request(key: u32) -> CreateRequest {
    CreateRequest {
        infrastructure: infrastructure(),
        instance: InstanceTag::derive(&infrastructure(), InstanceKey(key)),
        token: Token::derive(&infrastructure(), InstanceKey(key), 1),
        name: format!("node/{key}"),
        rendered: rendered(),
    }
}

pub(crate) fn rendered() -> Rendered {
    let resource = Value::Map(vec![
        ("cores".to_owned(), 2.into()),
        ("region".to_owned(), "north".into()),
    ]);
    Rendered {
        resource,
        user_data: Some("#cloud-config\nruncmd: [ 'true' ]\n".to_owned()),
        ..Rendered::default()
    }
}

/// Returns the resource ids that the provider lists, in order.
pub(crate) async fn listed(provider: &SimProvider) -> Vec<String> {
    let views = provider
        .observe(infrastructure(), ObserveScope::All)
        .await
        .expect("nothing fails");
    views
        .into_iter()
        .map(|view| view.resource.to_string())
        .collect()
}
