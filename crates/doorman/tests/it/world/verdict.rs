//! What attacks end with: refused, nothing sent, and an entry that tells.

use super::{Request, World};
use doorman_testkit::raw::Answer;

impl World {
    /// REJ: a 4xx, and no byte at any recorder. Returns the answer; see [`World::assert_denied`].
    pub async fn assert_rejected(&self, request: Request) -> Answer {
        let what = String::from_utf8_lossy(&request.to_bytes()).into_owned();
        let answer = self.send(request).await;
        self.assert_refusal(&what, &answer);
        answer
    }

    /// As [`World::assert_rejected`], when the recorders got so many requests before.
    pub async fn assert_rejected_more(&self, before: usize, request: Request) -> Answer {
        let answer = self.send(request).await;
        assert!((400..500).contains(&answer.status()), "{answer:?}");
        assert_eq!(self.recorders.values().map(|recorder| recorder.requests().len()).sum::<usize>(), before);
        answer
    }

    /// As [`World::assert_rejected`] for exactly these bytes.
    pub async fn assert_raw_rejected(&self, bytes: &[u8]) -> Answer {
        let answer = self.send_raw(bytes).await;
        self.assert_refusal(&String::from_utf8_lossy(bytes), &answer);
        answer
    }

    fn assert_refusal(&self, what: &str, answer: &Answer) {
        let what: String = what.chars().take(2_000).collect();
        assert!((400..500).contains(&answer.status()), "{what}\n→ {answer:?}");
        for (name, recorder) in &self.recorders {
            assert!(recorder.is_untouched(), "{name:?} was sent something for {what}");
        }
    }

    /// Each of these answers names an entry of its own that says `deny`.
    pub async fn assert_denied(&self, answers: &[Answer]) {
        let denied = self.denied().await;
        for answer in answers {
            let id = answer.head.field("doorman-audit-id").unwrap_or_default();
            let found = denied.iter().find(|entry| entry.text("id") == id);
            assert!(found.is_some(), "no denied entry for {answer:?}");
        }
        assert_eq!(denied.len(), answers.len(), "{denied:#?}");
    }
}

/// The `code` of a problem answer.
pub fn code_of(answer: &Answer) -> String {
    let problem: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    problem["code"].as_str().unwrap_or_default().to_owned()
}
