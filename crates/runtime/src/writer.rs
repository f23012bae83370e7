//! The thread that writes one session's journal, so that tasks go on meanwhile.

use std::sync::mpsc;
use std::thread;

use tokio::sync::oneshot;
use zenekar_base::InfrastructureId;
use zenekar_store::Store;

use crate::error::RuntimeError;
use crate::host::SharedStore;

type Job = Box<dyn FnOnce(&mut Store) + Send>;

/// Hands work on the store to a thread of its own. Ends with the last handle,
/// after all work that was handed in.
#[derive(Debug)]
pub(crate) struct Writer {
    infrastructure: InfrastructureId,
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(
        store: SharedStore,
        infrastructure: InfrastructureId,
    ) -> Result<Self, RuntimeError> {
        // The session hands in one piece of work at a time, so the queue stays short.
        let (sender, receiver) = mpsc::channel::<Job>();
        let work = move || {
            for job in receiver {
                store.with(job);
            }
        };
        let thread = thread::Builder::new()
            .name("zenekar-journal".to_owned())
            .spawn(work)
            .map_err(|source| RuntimeError::Thread { source })?;
        Ok(Self {
            infrastructure,
            jobs: Some(sender),
            thread: Some(thread),
        })
    }

    fn gone(&self) -> RuntimeError {
        RuntimeError::WriterGone {
            infrastructure: self.infrastructure.clone(),
        }
    }

    fn submit(&self, job: Job) -> Result<(), RuntimeError> {
        let jobs = self.jobs.as_ref().ok_or_else(|| self.gone())?;
        jobs.send(job).map_err(|_| self.gone())
    }

    /// Does something with the store and waits for the result.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let (sender, receiver) = oneshot::channel();
        // Who does not wait any more does not need the result.
        self.submit(Box::new(move |store| drop(sender.send(work(store)))))?;
        receiver.await.map_err(|_| self.gone())
    }

    /// Does something with the store and blocks until it is done.
    pub(crate) fn call_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Result<T, RuntimeError> {
        let (sender, receiver) = mpsc::channel();
        self.submit(Box::new(move |store| drop(sender.send(work(store)))))?;
        receiver.recv().map_err(|_| self.gone())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was already met as a missing result.
            let _ = thread.join();
        }
    }
}
