//! `socklab remote keys`: make a key, show keys, let somebody in, know a server,
//! as typed.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::remote::keys::Folder;
use crate::cli::output::unwritten;
use crate::error::Error;
use crate::protocol::remote::Public;

/// Make and show keys, let a client in, know a server.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  socklab remote keys generate                       once on each machine
  socklab remote keys show                           the key to give to others
  socklab remote keys authorize KEY alice            let alice run commands here
  socklab remote keys authorize KEY --server example.org
  socklab remote keys show --all                     everybody's fingerprint")]
pub(super) struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, clap::Subcommand)]
enum Task {
    Generate(Place),
    Show(Show),
    Authorize(Authorize),
}

/// Make this machine's key. Never takes the place of one that is there.
#[derive(Debug, clap::Args)]
struct Place {
    /// The folder of keys; $XDG_CONFIG_HOME/socklab where none is given
    #[arg(long, value_name = "FOLDER")]
    keys: Option<PathBuf>,
}

/// Show this machine's public key, the one to give to others.
#[derive(Debug, clap::Args)]
struct Show {
    /// Show the fingerprints of all who may come in and of all known servers too
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    place: Place,
}

/// Let the owner of a key in, or know a server by it.
///
/// Compare the fingerprint with the one that its owner sees: what comes through
/// the network may be anybody's.
#[derive(Debug, clap::Args)]
struct Authorize {
    /// The key, as `socklab remote keys show` prints it on the other machine
    key: Public,

    /// Whose it is
    #[arg(conflicts_with = "server", default_value = "")]
    name: String,

    /// Know the server HOST or HOST:PORT by this key, instead of letting its
    /// owner in
    #[arg(long, value_name = "HOST")]
    server: Option<String>,

    #[command(flatten)]
    place: Place,
}

/// Runs the task.
pub(super) fn run(args: &Args) -> Result<ExitCode, Error> {
    match &args.task {
        Task::Generate(place) => {
            let folder = place.folder()?;
            let public = folder.generate()?;
            note!("the secret key is in {}", folder.secret_path().display());
            show(&public)?;
        }
        Task::Show(args) => {
            let folder = args.place.folder()?;
            show(&folder.secret()?.public())?;
            if args.all {
                everybody(&folder)?;
            }
        }
        Task::Authorize(args) => args.run()?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Place {
    fn folder(&self) -> Result<Folder, Error> {
        Folder::at(self.keys.as_deref())
    }
}

impl Authorize {
    fn run(&self) -> Result<(), Error> {
        let folder = self.place.folder()?;
        let fingerprint = self.key.fingerprint();
        let doubts = self.doubts(&folder);
        if let Some(host) = &self.server {
            folder.know(host, self.key)?;
            note!("{host} is known by its key {fingerprint}");
        } else {
            folder.authorise(self.key, &self.name)?;
            note!("{fingerprint} may come in");
        }
        for doubt in doubts {
            note!("{doubt}");
        }
        Ok(())
    }

    /// What may be a mistake, and need not be.
    fn doubts(&self, folder: &Folder) -> Vec<String> {
        let mut doubts = Vec::new();
        // Where there is no key yet it cannot be this one.
        let own = folder.secret().ok();
        if own.is_some_and(|own| own.public() == self.key) {
            doubts.push(
                "that is this machine's own key; another's is what socklab remote keys show \
                 prints there"
                    .into(),
            );
        }
        let before = folder.authorised().ok();
        if let Some(before) = before.filter(|_| self.server.is_none() && !self.name.is_empty()) {
            let mut others = before.iter().filter(|(key, _)| **key != self.key);
            if let Some((other, name)) = others.find(|(_, name)| **name == *self.name) {
                let other = other.fingerprint();
                doubts.push(format!("{name} is the name of {other} too"));
            }
        }
        doubts
    }
}

/// The key alone on standard output, for scripts; its fingerprint beside it.
fn show(public: &Public) -> Result<(), Error> {
    note!("its fingerprint is {}", public.fingerprint());
    let mut out = io::stdout().lock();
    writeln!(out, "{public}").map_err(unwritten)
}

fn everybody(folder: &Folder) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    let authorised = folder.authorised()?;
    for (key, name) in authorised.iter() {
        let fingerprint = key.fingerprint();
        writeln!(out, "client  {fingerprint}  {name}").map_err(unwritten)?;
    }
    let known = folder.known()?;
    for (host, key) in known.iter() {
        let fingerprint = key.fingerprint();
        writeln!(out, "server  {fingerprint}  {host}").map_err(unwritten)?;
    }
    Ok(())
}
