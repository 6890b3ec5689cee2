use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Talks to somebody, in private.
///
/// A first conversation: `cf init --name Raya`, then `cf link`; the other one does
/// `cf add LINK`; then `cf requests` and `cf accept ID`; both `cf send` and `cf read`.
#[derive(Parser)]
#[command(name = "cf", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

#[derive(Args)]
pub(crate) struct Global {
    /// The folder that holds you: identity, conversations, messages
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "CF_HOME",
        help_heading = "Global options"
    )]
    pub(crate) home: Option<PathBuf>,

    /// The delivery service: `local:` is this machine's, `local:PATH` one in a file, `nats://HOST`
    /// or `mqtt://HOST` a server's; several times: all of them at once
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "CF_DS",
        help_heading = "Global options"
    )]
    pub(crate) ds: Vec<String>,

    /// Print one JSON object a line, for scripts
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,

    /// Tell on standard error what happens; twice: everything
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Global options")]
    pub(crate) verbose: u8,
}

/// What can be set.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Setting {
    /// Whether `cf read` tells authors that you have read what it printed
    ReadReceipts,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a home: a new identity and an empty store
    Init {
        /// The name that you show to others
        #[arg(long)]
        name: String,
        /// Protect the home with a passphrase (asked for, or from CF_PASSPHRASE) instead of a key file
        #[arg(long)]
        passphrase: bool,
    },
    /// Make a link to give to somebody, by which they can ask you
    Link {
        /// Put everything into the link: long, but it needs nothing on the service
        #[arg(long)]
        full: bool,
        /// Be found by your name in the directory of the service: everybody there can
        #[arg(long, conflicts_with = "full")]
        directory: bool,
        /// Be found by your name on the local network, while `cf` runs: everybody there sees it
        #[arg(long, conflicts_with_all = ["full", "directory", "once"])]
        lan: bool,
        /// Show it as a picture, for the other one's camera
        #[arg(long)]
        qr: bool,
        /// Write it into a picture
        #[arg(long, value_name = "FILE")]
        png: Option<PathBuf>,
        /// Write it into a text file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// End the link after one invite
        #[arg(long)]
        once: bool,
        /// End the link after so many days; with --full or --once after 30 at the latest
        #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=366))]
        days: u64,
        /// What you call the link; nobody else learns it
        #[arg(long, value_name = "TEXT", default_value = "")]
        label: String,
        /// How many requests through it may wait for you
        #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=512))]
        quota: u32,
        /// How many who don't know you yet may ask through it in an hour
        #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
        rate: u32,
    },
    /// Show your links
    Links,
    /// Show who says that they are here on the local network
    Lan,
    /// End a link; requests and conversations that came through it stay
    Revoke {
        /// Its id, or as much of it as is needed
        id: String,
    },
    /// Block somebody: nothing of theirs is shown any more; they learn nothing
    Block {
        /// A contact's name, a conversation's id, or a request's id
        who: String,
    },
    /// Block somebody no longer
    Unblock {
        /// Their name or fingerprint, as `cf blocked` shows them
        who: String,
    },
    /// Show who is blocked
    Blocked,
    /// Ask whoever gave you a link into a conversation
    ///
    /// NAME is looked up in the directory of your service, NAME@SERVICE in another's,
    /// lan:NAME on the local network.
    /// Anybody can claim a name: if several do, NAME#START takes the one whose
    /// fingerprint starts so.
    Add {
        /// The link; a file or PNG picture that holds it; - to read it from standard input; or a name
        link: String,
        /// Connect to this service, which the link names and you don't use yet
        #[arg(long, value_name = "SERVICE")]
        connect: Option<String>,
    },
    /// Show who asks for a conversation
    Requests,
    /// Accept a request
    Accept {
        /// Its id, or as much of it as is needed
        id: String,
    },
    /// Decline a request; who asked learns nothing, unless you say so
    Decline {
        /// Its id, or as much of it as is needed
        id: String,
        /// Tell them that the conversation is closed
        #[arg(long)]
        tell: bool,
    },
    /// Send a message, or a file
    Send {
        /// A contact's name, or a conversation's id
        who: String,
        #[arg(allow_hyphen_values = true)]
        /// The message; - sends each line of standard input (with --json: {"id": …, "text": …})
        #[arg(required_unless_present = "file")]
        text: Option<String>,
        /// Send this file, of at most 64 MiB; the message is what you say about it
        #[arg(long, value_name = "PATH")]
        file: Option<PathBuf>,
        /// Your own id for the message: the same again sends nothing and tells its state
        #[arg(long, value_name = "KEY")]
        id: Option<String>,
    },
    /// Print what came since you read last; its authors learn that you have read it
    ///
    /// `cf config read-receipts off` keeps that to yourself.
    Read {
        /// Keep printing as it comes
        #[arg(long)]
        follow: bool,
        /// Print everything after this number, and leave the place where you read last
        #[arg(long, value_name = "SEQ")]
        since: Option<u64>,
    },
    /// Save a file that came
    Save {
        /// Its number, as `cf read` shows it
        #[arg(value_name = "ID")]
        seq: u64,
        /// Where to: a file, or a folder; here, unless said otherwise
        path: Option<PathBuf>,
        /// Replace the file that is there
        #[arg(long)]
        force: bool,
    },
    /// Show a setting, or change it
    Config {
        /// Which
        setting: Setting,
        /// What it is to be
        value: Option<Switch>,
    },
    /// Show the safety number of a contact, or compare it and mark them as verified
    Verify {
        /// A contact's name, or a conversation's id
        who: String,
        /// The number that they see: 60 digits, with or without spaces, or a PNG picture of their
        /// code
        number: Vec<String>,
        /// As a code for a camera, too
        #[arg(long)]
        qr: bool,
        /// Write the code into a picture
        #[arg(long, value_name = "FILE")]
        png: Option<PathBuf>,
        /// Take back that they are verified
        #[arg(long, conflicts_with_all = ["number", "qr", "png"])]
        undo: bool,
    },
    /// Show the conversations, with what is unread
    Chats,
    /// Write everything into a file, under a passphrase (asked for, or from CF_BACKUP_PASSPHRASE)
    ///
    /// What you are, who you know and what was said; not the links, and not the files that
    /// came. The home may be in use.
    Backup {
        /// Where to
        file: PathBuf,
    },
    /// Make a home of a backup again; conversations go on by themselves
    Restore {
        /// The backup
        file: PathBuf,
        /// Protect the home with a passphrase (asked for, or from CF_PASSPHRASE) instead of a key file
        #[arg(long)]
        passphrase: bool,
    },
    /// Show the people you know
    Contacts,
    /// Show what was said in a conversation
    History {
        /// A contact's name, or a conversation's id
        #[arg(required_unless_present = "rebuild")]
        who: Option<String>,
        /// How much of it
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
        /// What came before this number, as it stands at the start of a line
        #[arg(long, value_name = "SEQ")]
        before: Option<u64>,
        /// What came after this number
        #[arg(long, value_name = "SEQ", conflicts_with = "before")]
        after: Option<u64>,
        /// Make the history again from the log first
        #[arg(long)]
        rebuild: bool,
    },
    /// Find messages by whole words
    Search {
        /// The words; all of them must be there
        #[arg(required = true)]
        words: Vec<String>,
        /// In one conversation: a contact's name, or a conversation's id
        #[arg(long, value_name = "WHO")]
        within: Option<String>,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
        /// Older ones than this number
        #[arg(long, value_name = "SEQ")]
        before: Option<u64>,
    },
    /// Delete a message here, or all of a conversation's; others keep theirs
    Delete {
        /// A contact's name, or a conversation's id
        who: String,
        /// Its number, as `cf history` shows it
        #[arg(required_unless_present = "all")]
        seq: Option<u64>,
        /// Everything that was said
        #[arg(long, conflicts_with = "seq")]
        all: bool,
    },
    /// Show for how long what is said is kept, or change it
    Keep {
        /// For so many days; 0: for ever
        days: Option<u64>,
    },
    /// Show how this home is doing
    Status,
    /// Examine the delivery services: reachable, how fast, what they promise and what they see
    Doctor,
    /// Show which protocol you speak: the five choices, and a digest of them
    Describe {
        /// As a file, for `cf check`; with --json as JSON
        #[arg(long, conflicts_with = "json")]
        toml: bool,
    },
    /// Say what two descriptions have in common, or what is wrong with one
    Check {
        /// A file of `cf describe`
        #[arg(value_name = "A")]
        first: PathBuf,
        /// Another
        #[arg(value_name = "B")]
        second: Option<PathBuf>,
    },
    /// Watch Saro and Raya meet and talk, and what an observer sees of it
    Demo,
}
