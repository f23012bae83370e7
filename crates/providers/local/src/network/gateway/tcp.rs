//! Connections of instances to other networks.

use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{RecvError, State};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{Shared, policy};

/// How long the other side may take to accept a connection: instances ask again meanwhile.
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);

/// How long an instance may take to close a connection that is over.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// What is copied at once.
const COPY_BYTES: usize = 32 * 1024;

/// Opens the connection that an instance asks for. Its first packet has to be
/// taken in next: without room or permission, that packet is refused.
pub(super) fn open(shared: &Rc<Shared>, source: SocketAddrV4, destination: SocketAddrV4) {
    let Some(target) = policy::target(destination) else {
        return;
    };
    let handle = shared.stack.borrow_mut().expect(source, destination);
    if let Some(handle) = handle {
        let connection = Connection {
            shared: Rc::clone(shared),
            handle,
            source,
            destination,
        };
        tokio::task::spawn_local(connection.relay(target));
    }
}

/// The instance's side of a connection.
struct Connection {
    shared: Rc<Shared>,
    handle: SocketHandle,
    source: SocketAddrV4,
    destination: SocketAddrV4,
}

impl Connection {
    /// Answers the instance once the other side has answered, and copies both ways then.
    async fn relay(mut self, target: SocketAddr) {
        let connecting = tokio::time::timeout(CONNECT_PATIENCE, TcpStream::connect(target));
        let Ok(Ok(mut other)) = connecting.await else {
            return;
        };
        // What was written at once is to be sent at once, as the instance did.
        let _ = other.set_nodelay(true);
        self.shared.stack.borrow_mut().admit(self.handle);
        self.shared.wake.notify_one();
        if !self.is_established().await {
            return;
        }
        let copied =
            tokio::io::copy_bidirectional_with_sizes(&mut self, &mut other, COPY_BYTES, COPY_BYTES);
        if copied.await.is_ok() {
            // Whether in time or not, the connection is forgotten then.
            let _ = tokio::time::timeout(CLOSE_PATIENCE, self.is_closed()).await;
        } else {
            // Who waits for more than there will be has to learn that it was cut off.
            let _ = socket2::SockRef::from(&other).set_linger(Some(Duration::ZERO));
        }
    }

    /// Waits until the instance knows that the connection is open; it may have gone.
    async fn is_established(&self) -> bool {
        std::future::poll_fn(|context| {
            let mut stack = self.shared.stack.borrow_mut();
            let socket = stack.socket(self.handle);
            match socket.state() {
                State::Listen | State::SynReceived => {
                    socket.register_send_waker(context.waker());
                    socket.register_recv_waker(context.waker());
                    Poll::Pending
                }
                State::Closed => Poll::Ready(false),
                _ => Poll::Ready(true),
            }
        })
        .await
    }

    /// Waits until both sides have said that they are done.
    async fn is_closed(&self) {
        std::future::poll_fn(|context| {
            let mut stack = self.shared.stack.borrow_mut();
            let socket = stack.socket(self.handle);
            if matches!(socket.state(), State::Closed | State::TimeWait) {
                return Poll::Ready(());
            }
            socket.register_send_waker(context.waker());
            socket.register_recv_waker(context.waker());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared
            .stack
            .borrow_mut()
            .forget(self.handle, self.source, self.destination);
        self.shared.wake.notify_one();
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut stack = self.shared.stack.borrow_mut();
        let socket = stack.socket(self.handle);
        match socket.recv_slice(buffer.initialize_unfilled()) {
            Ok(0) => {
                socket.register_recv_waker(context.waker());
                Poll::Pending
            }
            Ok(count) => {
                buffer.advance(count);
                // There is room for more now, which the instance has to be told.
                self.shared.wake.notify_one();
                Poll::Ready(Ok(()))
            }
            Err(RecvError::Finished) => Poll::Ready(Ok(())),
            Err(RecvError::InvalidState) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut stack = self.shared.stack.borrow_mut();
        let socket = stack.socket(self.handle);
        match socket.send_slice(bytes) {
            Ok(0) if !bytes.is_empty() => {
                socket.register_send_waker(context.waker());
                Poll::Pending
            }
            Ok(count) => {
                self.shared.wake.notify_one();
                Poll::Ready(Ok(count))
            }
            Err(_) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.shared.stack.borrow_mut().socket(self.handle).close();
        self.shared.wake.notify_one();
        Poll::Ready(Ok(()))
    }
}
