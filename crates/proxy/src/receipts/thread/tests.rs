use super::*;
use crate::receipts::ReceiptSettings;
use doorman_core::id::AuditId;
use doorman_core::keys::KeyId;
use doorman_core::pass::BootId;
use doorman_core::receipt::Frames;

fn log(dir: &std::path::Path) -> ThreadLog {
    let settings = ReceiptSettings { dir: dir.to_owned(), keep: MAX_AGE, max_bytes: u64::MAX };
    ThreadLog::new(Arc::new(Shelf::open(settings, BootId([1; 16]), "eu").unwrap()))
}

fn pass(number: u64, index: u32) -> Pass {
    let statement = Statement {
        writer: WriterId([9; 16]),
        kid: KeyId([0; 8]),
        number,
        previous: [0; 32],
        root: [7; 32],
        first_index: 0,
        count: 9,
        time_ms: 0,
        peers: None,
    };
    Pass {
        audit_id: AuditId([index as u8; 16]),
        expires_ms: 20,
        audience_hint: [1; 4],
        fence: 0,
        actor: "user:alice".into(),
        subject: "user:alice".into(),
        body_prefix: None,
        record: [3; 32],
        index,
        path: vec![[4; 32]],
        statement,
        signature: [5; 64],
    }
}

fn honour(log: &ThreadLog, pass: &Pass) -> io::Result<()> {
    log.honoured(pass, &pass.statement, &[2; 32], 10, "GET", "echo")
}

fn kinds(dir: &std::path::Path) -> String {
    let mut files: Vec<_> =
        std::fs::read_dir(dir.join("receipts")).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "receipts"));
    files.sort();
    let name = |frame: Frame<'_>| match frame {
        Frame::Started(_) => 'S',
        Frame::Gap { .. } => 'G',
        Frame::Statement { .. } => 's',
        Frame::Honoured(_) => 'h',
        Frame::Ended(_) => 'e',
    };
    files
        .iter()
        .flat_map(|path| Frames::new(&std::fs::read(path).unwrap()).map(name).collect::<Vec<_>>())
        .collect()
}

#[test]
fn a_statement_stands_once_before_the_receipts_that_hang_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    for (number, index) in [(1, 0), (1, 1), (2, 2), (1, 3)] {
        honour(&log, &pass(number, index)).unwrap();
    }
    assert_eq!(kinds(dir.path()), "", "nothing is written before something is about to be sent");
    log.flush_due().unwrap();
    assert_eq!(kinds(dir.path()), "Sshhshh");
    log.ended(&Ended { audit_id: AuditId([0; 16]), at_ms: 1, end: End::Unsent, what: "" });
    log.flush_due().unwrap();
    assert_eq!(kinds(dir.path()), "Sshhshh", "an end waits for company");
    drop(log);
    assert_eq!(kinds(dir.path()), "Sshhshhe");
}

#[test]
fn while_receipts_cannot_be_written_nothing_is_honoured_and_then_all_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    honour(&log, &pass(1, 0)).unwrap();
    let real = {
        let mut state = log.state.lock();
        let segment = state.file.as_mut().unwrap();
        std::mem::replace(
            &mut segment.file,
            std::fs::OpenOptions::new().append(true).open("/dev/full").unwrap(),
        )
    };
    assert!(log.flush_due().is_err(), "the gate stays shut");
    assert!(honour(&log, &pass(1, 1)).is_err());
    log.state.lock().file.as_mut().unwrap().file = real;
    honour(&log, &pass(1, 2)).unwrap();
    log.flush_due().unwrap();
    assert_eq!(kinds(dir.path()), "Sshh");
}
