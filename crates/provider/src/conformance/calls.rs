//! Calls that are given up, made twice at once, or fail on purpose.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use zenekar_base::{ErrorClass, ResourceView};

use super::suite::{Suite, exists, keys, require};
use super::{Fault, Provoke};
use crate::ObserveScope;

/// After how many steps a create call is given up, each time with the same
/// token: near its beginning, where the request is on its way, and later.
const STEPS_UNTIL_GIVEN_UP: [u32; 7] = [1, 2, 3, 4, 6, 9, 14];

/// After how many steps create calls of their own are given up.
const STEPS_UNTIL_GIVEN_UP_ONCE: [u32; 2] = [3, 8];

/// How long a call may keep its caller, whatever the cloud does: so long an
/// engine waits for a creation.
const CALL_MAX: Duration = Duration::from_mins(3);

/// Lets a future make so many steps and gives it up then; `None` if it has not ended by then.
async fn interrupted<T>(future: impl Future<Output = T>, steps_max: u32) -> Option<T> {
    let mut future = pin!(future);
    let mut steps = 0;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => {
            steps += 1;
            if steps >= steps_max {
                Poll::Ready(None)
            } else {
                Poll::Pending
            }
        }
    })
    .await
}

impl Suite<'_> {
    /// Returns the living resources of an instance, once lists cannot lag any more.
    async fn living(&self, key: u32) -> Result<Vec<ResourceView>, String> {
        self.settle().await;
        let tag = self.tag(key);
        let all = self.observe_own(ObserveScope::All).await?;
        let own = all.into_iter().filter(|view| view.instance == tag);
        Ok(own.filter(exists).collect())
    }

    /// Completes the creation of an instance whose calls were disturbed: there
    /// has to be one of it then, and it goes.
    async fn comes_to_one(&self, key: u32, what: &str) -> Result<(), String> {
        let created = self.create(key).await?;
        let living = self.living(key).await?;
        require(
            living.iter().all(|view| view.resource == created.resource) && living.len() <= 1,
            || format!("{what} left {living:?} besides `{}`", created.resource),
        )?;
        self.remove(&created.resource).await?;
        let living = self.living(key).await?;
        require(living.is_empty(), || format!("{what} left {living:?}"))
    }

    pub(super) async fn given_up(&self) -> Result<bool, String> {
        for steps in STEPS_UNTIL_GIVEN_UP {
            let call = self.provider().create(self.request(keys::CANCELLED));
            let ended = interrupted(call, steps).await;
            if ended.is_some_and(|answer| answer.is_ok()) {
                break;
            }
            self.setup.pause.pause(self.setup.poll).await;
        }
        self.comes_to_one(keys::CANCELLED, "calls that were given up")
            .await?;
        for (key, steps) in (keys::CANCELLED + 1..).zip(STEPS_UNTIL_GIVEN_UP_ONCE) {
            // Whatever came of it, the next call has to make it good.
            let _ = interrupted(self.provider().create(self.request(key)), steps).await;
            self.setup.pause.pause(self.setup.poll).await;
            let what = format!("a call that was given up after {steps} steps");
            self.comes_to_one(key, &what).await?;
        }
        Ok(true)
    }

    pub(super) async fn together(&self) -> Result<bool, String> {
        let (one, two) = tokio::join!(self.create(keys::TOGETHER), self.create(keys::TOGETHER));
        let (one, two) = (one?, two?);
        require(one.resource == two.resource, || {
            format!(
                "two calls at once made `{}` and `{}`",
                one.resource, two.resource
            )
        })?;
        self.comes_to_one(keys::TOGETHER, "two calls at once")
            .await?;
        Ok(true)
    }

    pub(super) async fn faults(&self) -> Result<bool, String> {
        let Some(provoke) = self.extras.provoke else {
            return Ok(false);
        };
        for (key, fault) in (keys::FAULTY..).zip(Fault::ALL) {
            self.fault(provoke, key, fault).await?;
        }
        Ok(true)
    }

    async fn fault(&self, provoke: &dyn Provoke, key: u32, fault: Fault) -> Result<(), String> {
        if !provoke.provoke(fault).await {
            return Ok(());
        }
        let began = Instant::now();
        let answer = self.provider().create(self.request(key)).await;
        let took = began.elapsed();
        provoke.relent().await;
        require(took <= CALL_MAX, || {
            format!("{fault:?} kept the caller for {took:?}")
        })?;
        let class = answer.as_ref().err().map(|error| error.class);
        let right = match fault {
            // An adapter may find out what became of it.
            Fault::TimeoutAfterEffect => matches!(class, None | Some(ErrorClass::Unknown)),
            Fault::TimeoutWithoutEffect => class == Some(ErrorClass::Unknown),
            Fault::ServerError => {
                matches!(class, Some(ErrorClass::Retryable | ErrorClass::Unknown))
            }
            Fault::Unreachable => class == Some(ErrorClass::Retryable),
            Fault::Throttled => class == Some(ErrorClass::Throttled),
            Fault::Capacity => class == Some(ErrorClass::Capacity),
            Fault::Quota => class == Some(ErrorClass::Quota),
        };
        require(right, || format!("{fault:?} comes as {answer:?}"))?;
        let surely_without_effect =
            class.is_some_and(|class| !matches!(class, ErrorClass::Unknown | ErrorClass::Conflict));
        if surely_without_effect {
            let living = self.living(key).await?;
            require(living.is_empty(), || {
                format!("{fault:?} was told to have no effect and made {living:?}")
            })?;
        }
        self.comes_to_one(key, &format!("{fault:?}")).await
    }
}
