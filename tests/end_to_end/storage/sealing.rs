//! Secrets at rest: the key, the cipher, the vault.

use std::{fs, sync::Arc};

use hearback::storage::{Cipher, Migrate, SecretKey, Secrets, SqlStorage};
use hearback_core::{
    ErrorKind,
    secret::{ExposeSecret, Secret},
    vault::Vault,
};

use super::{cipher, open};

#[test]
fn what_is_sealed_opens_only_whole_and_in_its_place() {
    let cipher = cipher('x');
    let sealed = cipher.seal("vault:slack/token", "xoxb-1").unwrap();
    assert_eq!(cipher.open("vault:slack/token", &sealed).unwrap().expose_secret(), "xoxb-1");
    assert_ne!(cipher.seal("vault:slack/token", "xoxb-1").unwrap(), sealed, "a nonce is used once");
    assert!(!sealed.windows(6).any(|window| window == b"xoxb-1"));
    assert_eq!(cipher.open("vault:slack/other", &sealed).unwrap_err().kind(), ErrorKind::Unexpected);
    for index in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[index] ^= 1;
        let error = cipher.open("vault:slack/token", &changed).unwrap_err();
        // Bytes 1 to 4 name the key.
        let kind = if (1..5).contains(&index) { ErrorKind::Config } else { ErrorKind::Unexpected };
        assert_eq!(error.kind(), kind, "byte {index}: {error}");
        assert!(!error.to_string().contains("xoxb"));
        assert!(cipher.open("vault:slack/token", &sealed[..index]).is_err(), "cut at {index}");
    }
}

#[test]
fn another_key_is_named_without_a_secret() {
    let sealed = cipher('x').seal("token-webhook", "whsec_1").unwrap();
    let error = cipher('y').open("token-webhook", &sealed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let text = error.to_string();
    assert!(text.contains("token-webhook is sealed under key ") && text.contains("SECRET_KEY gives key "), "{text}");
    assert!(!text.contains("xxxx") && !text.contains("yyyy") && !text.contains("whsec"));
    assert!(!format!("{:?}", cipher('x')).contains("xxxx"));
}

#[test]
fn old_keys_open_and_the_present_one_seals() {
    let key = |letter: &str| SecretKey::new(letter.repeat(32).into()).unwrap();
    let rotated = Cipher::new(&Secrets::new(key("y"), [key("x"), key("w")]));
    let sealed = cipher('x').seal("c", "text").unwrap();
    assert_eq!(rotated.open("c", &sealed).unwrap().expose_secret(), "text");
    assert!(!rotated.is_present(&sealed));
    let anew = rotated.seal("c", "text").unwrap();
    assert!(rotated.is_present(&anew) && cipher('x').open("c", &anew).is_err());
    assert_eq!(cipher('y').open("c", &anew).unwrap().expose_secret(), "text");
    assert_eq!(rotated.open("other", &sealed).unwrap_err().kind(), ErrorKind::Unexpected);
    let error = rotated.open("c", &cipher('z').seal("c", "text").unwrap()).unwrap_err();
    assert!(error.kind() == ErrorKind::Config && error.detail().contains(" and the old ones give "), "{error}");
}

#[test]
fn a_secret_that_is_too_short_is_refused() {
    let error = SecretKey::new(Secret::from("x".repeat(31))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert_eq!(error.detail(), "SECRET_KEY has 31 characters, expected at least 32 random ones");
    let key = SecretKey::new(Secret::from("x".repeat(32))).unwrap();
    assert_eq!(key.derive("a"), key.derive("a"));
    assert_ne!(key.derive("a"), key.derive("b"));
    assert_eq!(format!("{key:?}"), "SecretKey");
}

#[test]
fn a_generated_secret_is_kept_for_this_user_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let sealed = Cipher::new(&Secrets::load_or_generate(&data).unwrap()).seal("c", "text").unwrap();
    let again = Cipher::new(&Secrets::load_or_generate(&data).unwrap());
    assert_eq!(again.open("c", &sealed).unwrap().expose_secret(), "text");
    let text = fs::read_to_string(data.join("secret.key")).unwrap();
    assert_eq!(text.len(), 44, "32 bytes as base64");
    assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "nothing else is left");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(data.join("secret.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    fs::write(data.join("secret.key"), "short").unwrap();
    assert!(Secrets::load_or_generate(&data).unwrap_err().detail().contains("5 characters"));
}

#[tokio::test]
async fn the_vault_swaps_by_version_and_stores_nothing_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    let vault = open(folder.path()).await;
    let text = |text: &str| Some(Secret::from(text.to_owned()));
    let swap = async |expected, value| vault.compare_and_swap("slack/token", expected, value).await.unwrap();
    let found = async || {
        let found = vault.get("slack/token").await.unwrap();
        found.map(|found| (found.version, found.value.expose_secret().to_owned()))
    };
    assert_eq!(found().await, None);
    assert!(!swap(Some(1), text("never")).await);
    assert!(swap(None, text("first-secret")).await);
    assert!(!swap(None, text("never")).await);
    assert_eq!(found().await, Some((1, "first-secret".into())));
    assert!(!swap(Some(2), text("never")).await);
    assert!(swap(Some(1), text("second-secret")).await);
    assert_eq!(found().await, Some((2, "second-secret".into())));
    assert!(vault.get("slack/other").await.unwrap().is_none());

    for file in ["hearback.db", "hearback.db-wal"] {
        let bytes = fs::read(folder.path().join(file)).unwrap();
        assert!(!bytes.windows(7).any(|window| window == b"-secret"), "{file}");
    }
    assert!(!swap(Some(1), None).await);
    assert!(swap(Some(2), None).await);
    assert_eq!(found().await, None);
    assert!(swap(None, text("third-secret")).await);
    assert_eq!(found().await, Some((1, "third-secret".into())));

    vault.close().await;
    let database = folder.path().join("hearback.db");
    let other = SqlStorage::open(database.to_str().unwrap(), Migrate::Auto, Arc::default(), cipher('y')).await.unwrap();
    let error = other.get("slack/token").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.detail().contains("vault:slack/token is sealed under key"), "{error}");
}

/// Of many that swap from the same version, one does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_swaps_wins() {
    let folder = tempfile::tempdir().unwrap();
    let vault = Arc::new(open(folder.path()).await);
    let swaps: Vec<_> = (0..20)
        .map(|number| {
            let vault = vault.clone();
            let value = Some(Secret::from(number.to_string()));
            tokio::spawn(async move { vault.compare_and_swap("k", None, value).await.unwrap() })
        })
        .collect();
    let mut won = Vec::new();
    for (number, swap) in swaps.into_iter().enumerate() {
        if swap.await.unwrap() {
            won.push(number.to_string());
        }
    }
    let found = vault.get("k").await.unwrap().unwrap();
    assert_eq!(won, [found.value.expose_secret().to_owned()]);
}
