//! Saved requests, on every database.

use crate::rig::{Kind, Rig, contract};
use doorman_store::{SavedRequestRow, Viewer};

contract! {
    requests_are_seen_by_owner_and_groups_alone
    an_edit_of_an_older_version_changes_nothing
}

fn saved(id: u8, owner: &str, groups: &[&str], search: &str) -> SavedRequestRow {
    SavedRequestRow {
        id: [id; 16],
        owner: owner.into(),
        version: 1,
        groups: groups.iter().map(|group| (*group).into()).collect(),
        search: search.into(),
        content: format!("{{\"n\":{id}}}"),
        updated_ms: 1_000 + u64::from(id),
        updated_by: owner.into(),
    }
}

async fn ids(rig: &Rig, principal: &str, groups: &[&str], wanted: Option<&str>) -> Vec<u8> {
    let groups: Vec<String> = groups.iter().map(|group| (*group).into()).collect();
    let viewer = Viewer { principal, groups: &groups };
    let mut cursor = None;
    let mut found = Vec::new();
    loop {
        let (page, next) =
            rig.database.saved_requests_page(viewer, wanted, cursor.as_deref(), 2).await.unwrap();
        found.extend(page.iter().map(|row| row.id[0]));
        match next {
            Some(next) => cursor = Some(next),
            None => return found,
        }
    }
}

async fn requests_are_seen_by_owner_and_groups_alone(kind: Kind) {
    let rig = Rig::new(kind).await;
    for row in [
        saved(1, "user:alice", &[], "get echo /a"),
        saved(2, "user:alice", &["developers"], "get echo /100%"),
        saved(3, "user:bob", &["oncall", "developers"], "post companies /b_c"),
        saved(4, "user:bob", &[], "post echo /d"),
        saved(5, "user:carol", &["security"], "get echo /e"),
    ] {
        rig.database.insert_saved_request(&row).await.unwrap();
    }
    assert_eq!(ids(&rig, "user:alice", &["developers"], None).await, [1, 2, 3]);
    assert_eq!(ids(&rig, "user:bob", &["developers", "oncall"], None).await, [2, 3, 4]);
    assert_eq!(ids(&rig, "user:mallory", &[], None).await, Vec::<u8>::new());
    assert_eq!(ids(&rig, "user:ALICE", &["Developers", "developers "], None).await, Vec::<u8>::new());
    assert_eq!(ids(&rig, "user:alice", &["developers"], Some("echo")).await, [1, 2]);
    assert_eq!(ids(&rig, "user:alice", &["developers"], Some("0%")).await, [2]);
    assert_eq!(ids(&rig, "user:alice", &["developers"], Some("b_c")).await, [3]);
    assert_eq!(ids(&rig, "user:alice", &["developers"], Some("bxc")).await, Vec::<u8>::new());

    let groups = ["developers".to_owned()];
    let alice = Viewer { principal: "user:alice", groups: &groups };
    let shared = rig.database.saved_request(alice, &[3; 16]).await.unwrap().unwrap();
    assert_eq!(shared.groups, ["developers", "oncall"]);
    assert!(rig.database.saved_request(alice, &[4; 16]).await.unwrap().is_none());
    assert_eq!(rig.database.count_saved_requests("user:alice").await.unwrap(), 2);
}

async fn an_edit_of_an_older_version_changes_nothing(kind: Kind) {
    let rig = Rig::new(kind).await;
    let mut row = saved(1, "user:alice", &["developers"], "old");
    rig.database.insert_saved_request(&row).await.unwrap();
    row.version = 2;
    row.content = "{}".into();
    row.groups = Vec::new();
    row.updated_by = "user:bob".into();
    assert!(rig.database.update_saved_request(&row).await.unwrap());
    assert!(!rig.database.update_saved_request(&row).await.unwrap(), "somebody was faster");
    let viewer = Viewer { principal: "user:alice", groups: &[] };
    assert_eq!(rig.database.saved_request(viewer, &row.id).await.unwrap().unwrap(), row);

    let edits = rig.database.saved_request_edits(&row.id).await.unwrap();
    let seen: Vec<_> = edits.iter().map(|edit| (edit.version, &*edit.by)).collect();
    assert_eq!(seen, [(2, "user:bob"), (1, "user:alice")]);

    assert!(!rig.database.delete_saved_request(&row.id, 1).await.unwrap());
    assert!(rig.database.delete_saved_request(&row.id, 2).await.unwrap());
    for table in ["saved_request", "saved_request_share", "saved_request_edit"] {
        assert_eq!(rig.count(table).await, 0, "{table}");
    }
}
