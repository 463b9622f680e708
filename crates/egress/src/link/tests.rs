use super::client::LinkClient;
use super::frame::{self, Frame};
use super::serve_link;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body::{Body, Frame as BodyFrame};
use http_body_util::{BodyExt as _, Full};
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::{LocalSet, spawn_local};

type AnswerBody = Pin<Box<dyn Body<Data = Bytes, Error = io::Error>>>;

fn get(path: &str) -> Request<()> {
    Request::get(path).header("x-one", "1").body(()).unwrap()
}

fn full(text: impl Into<Bytes>) -> Response<AnswerBody> {
    Response::new(Box::pin(Full::new(text.into()).map_err(|never| match never {})))
}

/// A body of these frames, counted as they are taken.
struct Frames(VecDeque<io::Result<BodyFrame<Bytes>>>, Rc<Cell<usize>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<BodyFrame<Bytes>>>> {
        self.1.set(self.1.get() + 1);
        Poll::Ready(self.0.pop_front())
    }
}

fn frames(frames: Vec<io::Result<BodyFrame<Bytes>>>, taken: &Rc<Cell<usize>>) -> Response<AnswerBody> {
    Response::new(Box::pin(Frames(frames.into(), taken.clone())))
}

/// A link whose far end answers by `handler`.
fn linked<F>(handler: impl Fn(Request<Bytes>) -> F + 'static) -> LinkClient
where
    F: Future<Output = Response<AnswerBody>> + 'static,
{
    let (near, far) = tokio::io::duplex(16 * 1024);
    spawn_local(async move {
        let _ = serve_link(far, handler).await;
    });
    ask(near)
}

fn ask(near: DuplexStream) -> LinkClient {
    let (link, driver) = LinkClient::start(near);
    spawn_local(async move {
        let _ = driver.await;
    });
    link
}

async fn text(response: Response<impl Body<Data = Bytes, Error = io::Error>>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn local(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, test);
}

#[test]
fn many_requests_share_one_connection_and_each_gets_its_own_answer() {
    local(async {
        let link = Rc::new(linked(|request| async move {
            let (head, body) = request.into_parts();
            let one = head.headers.get("x-one").unwrap().to_str().unwrap().to_owned();
            if head.uri.path().ends_with('3') {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            let body = String::from_utf8_lossy(&body);
            let mut answer = full(format!("{} {} {one} {body}", head.method, head.uri));
            *answer.status_mut() = StatusCode::CREATED;
            answer.headers_mut().append("x-two", HeaderValue::from_static("a"));
            answer.headers_mut().append("x-two", HeaderValue::from_static("b"));
            answer
        }));
        let ask = |number: usize| {
            let link = link.clone();
            spawn_local(async move {
                let (head, body) = (get(&format!("/p/{number}?q")), format!("body {number}"));
                let answer = link.send(&head, body.as_bytes()).await.unwrap().unwrap();
                assert_eq!(answer.status(), StatusCode::CREATED);
                assert_eq!(answer.headers().get_all("x-two").iter().count(), 2);
                assert_eq!(text(answer).await, format!("GET /p/{number}?q 1 {body}"));
            })
        };
        for asked in (0..200).map(ask).collect::<Vec<_>>() {
            asked.await.unwrap();
        }
    });
}

#[test]
fn an_answer_that_nobody_reads_is_held_back_and_the_others_go_on() {
    local(async {
        let taken = Rc::new(Cell::new(0));
        let counted = taken.clone();
        let link = linked(move |request| {
            let taken = counted.clone();
            async move {
                if request.uri().path() == "/small" {
                    return full("small");
                }
                let piece = || Ok(BodyFrame::data(Bytes::from(vec![7; 1_000])));
                frames((0..4_000).map(|_| piece()).collect(), &taken)
            }
        });
        let large = link.send(&get("/large"), b"").await.unwrap().unwrap();
        for _ in 0..50 {
            assert_eq!(text(link.send(&get("/small"), b"").await.unwrap().unwrap()).await, "small");
        }
        assert!(taken.get() < 200, "{} pieces were read for a reader who sleeps", taken.get());
        let bytes = large.into_body().collect().await.unwrap().to_bytes();
        assert_eq!((bytes.len(), bytes.iter().all(|byte| *byte == 7)), (4_000_000, true));
    });
}

#[test]
fn trailers_come_and_a_body_that_breaks_off_says_so() {
    local(async {
        let link = linked(|request| async move {
            let piece = Ok(BodyFrame::data(Bytes::from_static(b"piece")));
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", HeaderValue::from_static("0"));
            let end = match request.uri().path() {
                "/trailers" => Ok(BodyFrame::trailers(trailers)),
                _ => Err(io::Error::other("broke off")),
            };
            frames(vec![piece, end], &Rc::default())
        });
        let whole = link.send(&get("/trailers"), b"").await.unwrap().unwrap();
        let whole = whole.into_body().collect().await.unwrap();
        assert_eq!(whole.trailers().unwrap().get("grpc-status").unwrap(), "0");
        assert_eq!(whole.to_bytes(), "piece");
        let broken = link.send(&get("/broken"), b"").await.unwrap().unwrap();
        assert!(broken.into_body().collect().await.is_err());
    });
}

#[test]
fn a_request_that_nobody_waits_for_any_more_is_dropped_at_the_other_end() {
    struct Told(Rc<Cell<bool>>);
    impl Drop for Told {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    local(async {
        let dropped = Rc::new(Cell::new(false));
        let told = dropped.clone();
        let link = linked(move |_| {
            let told = Told(told.clone());
            async move {
                std::future::pending::<()>().await;
                drop(told);
                full("never")
            }
        });
        let head = get("/");
        tokio::select! {
            _ = link.send(&head, b"") => unreachable!(),
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
        }
        while !dropped.get() {
            tokio::task::yield_now().await;
        }
    });
}

#[test]
fn only_a_request_of_which_nothing_was_written_is_called_unsent() {
    local(async {
        let (near, mut far) = tokio::io::duplex(64);
        let link = Rc::new(ask(near));
        let first = {
            let link = link.clone();
            spawn_local(async move { link.send(&get("/first"), &[1; 1_000]).await })
        };
        let mut byte = [0; 1];
        far.read_exact(&mut byte).await.unwrap();
        let second = {
            let link = link.clone();
            spawn_local(async move { link.send(&get("/second"), b"").await })
        };
        tokio::task::yield_now().await;
        drop(far);
        assert!(!first.await.unwrap().err().unwrap().is_unsent);
        assert!(second.await.unwrap().err().unwrap().is_unsent);
        assert!(link.send(&get("/third"), b"").await.err().unwrap().is_unsent);
        assert!(!link.is_open());
    });
}

#[test]
fn a_request_too_long_for_a_link_is_not_sent_by_it() {
    local(async {
        let link = linked(|_| async { full("ok") });
        let mut head = get("/");
        let long = HeaderValue::from_bytes(&[b'a'; 40_000]).unwrap();
        for _ in 0..8 {
            head.headers_mut().append("x-long", long.clone());
        }
        assert!(link.send(&head, b"").await.unwrap().is_none());
        assert_eq!(text(link.send(&get("/"), b"").await.unwrap().unwrap()).await, "ok");
    });
}

proptest! {
    #[test]
    fn what_is_written_is_what_is_read(
        number in any::<u32>(),
        path in "/[a-z%0-9/]{0,40}(\\?[a-z=&]{0,20})?",
        headers in proptest::collection::vec(("[a-z][a-z-]{0,12}", "[ -~]{0,30}"), 0..12),
        body in proptest::collection::vec(any::<u8>(), 0..20_000),
    ) {
        let mut head = Request::new(());
        *head.method_mut() = Method::PATCH;
        *head.uri_mut() = path.parse().unwrap();
        for (name, value) in headers.iter().filter(|(name, _)| name != "host") {
            head.headers_mut().append(
                HeaderName::try_from(name.as_str()).unwrap(), HeaderValue::try_from(value.as_str()).unwrap());
        }
        let mut out = BytesMut::new();
        prop_assert!(frame::put_request(&mut out, number, &head, &body));
        for cut in [0, 5, out.len() / 2, out.len() - 1] {
            prop_assert!(Frame::take(&mut BytesMut::from(&out[..cut])).unwrap().is_none());
        }
        let taken = Frame::take(&mut out).unwrap().unwrap();
        prop_assert!(out.is_empty());
        prop_assert_eq!(taken.stream, number);
        let (parts, read) = frame::request(taken.payload).unwrap().into_parts();
        prop_assert_eq!((&parts.method, &parts.uri, &parts.headers), (head.method(), head.uri(), head.headers()));
        prop_assert_eq!(read, body);
    }

    #[test]
    fn bytes_of_any_kind_end_a_link_at_worst(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), kind in 0u8..10) {
        let mut framed = BytesMut::new();
        framed.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
        framed.extend_from_slice(&[kind, 0, 0, 0, 0, 1]);
        framed.extend_from_slice(&bytes);
        for sent in [bytes, framed.to_vec()] {
            local(async {
                let (mut near, far) = tokio::io::duplex(1 << 16);
                near.write_all(&sent).await.unwrap();
                near.shutdown().await.unwrap();
                let _ = serve_link(far, |_| async { full("ok") }).await;
                let (mut far, near) = tokio::io::duplex(1 << 16);
                let (link, driver) = LinkClient::start(near);
                far.write_all(&sent).await.unwrap();
                drop(far);
                let _ = driver.await;
                assert!(!link.is_open());
            });
        }
    }
}
