use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// An authority of its own, and the certificate of a server on this machine, in files
/// that go with this.
#[derive(Debug)]
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Makes them for `localhost` and `127.0.0.1`.
    ///
    /// # Panics
    /// Without random bytes or a temporary folder.
    pub fn new() -> Self {
        let key = || KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, key()).expect("it is whole");
        let names = ["localhost", "127.0.0.1"].map(str::to_owned);
        let server = CertificateParams::new(names).expect("they are names");
        let server_key = key();
        let server = server.signed_by(&server_key, &authority);
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: String| {
            fs::write(folder.path().join(name), text).expect("the folder is ours");
        };
        write("ca.pem", authority.pem());
        write("cert.pem", server.expect("it is whole").pem());
        write("key.pem", server_key.serialize_pem());
        Self { folder }
    }

    /// The folder: `ca.pem`, `cert.pem`, `key.pem`.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The certificate of the authority.
    pub fn authority(&self) -> PathBuf {
        self.folder().join("ca.pem")
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}
