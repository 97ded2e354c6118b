//! Refuses what the capabilities forbid, before any I/O.

use std::future::Future;

use super::{Call, Layer, Operation};
use crate::{
    channel::{Capabilities, Content, Outbound},
    error::{Error, ErrorKind, Result},
    feedback::Question,
};

#[derive(Debug)]
pub(super) struct Guard;

impl Layer for Guard {
    async fn around<T: Send>(&self, call: Call<'_>, next: impl Future<Output = Result<T>> + Send) -> Result<T> {
        check(call)?;
        next.await
    }
}

fn check(call: Call<'_>) -> Result<()> {
    let capabilities = call.channel.capabilities();
    match call.operation {
        Operation::Settle if !capabilities.edit => Err(Error::unsupported(call.operation.as_str())),
        Operation::Link if !capabilities.links => Err(Error::unsupported(call.operation.as_str())),
        Operation::Send => call.sending.map_or(Ok(()), |(_, what)| check_outbound(capabilities, what)),
        Operation::Link | Operation::Settle | Operation::Probe | Operation::Callback => Ok(()),
    }
}

fn check_outbound(capabilities: &Capabilities, what: &Outbound) -> Result<()> {
    if !capabilities.messages && !matches!(what.content, Content::Request { .. }) {
        return Err(Error::unsupported(Operation::Send.as_str()));
    }
    let refused = |detail: String| Err(Error::new(ErrorKind::Rejected, Operation::Send.as_str(), detail));
    let length = what.text().chars().count();
    if let Some(max) = capabilities.text_max.filter(|max| length > *max as usize) {
        return refused(format!("the text has {length} characters, this channel takes {max}"));
    }
    if what.thread.is_some() && !capabilities.threads {
        return Err(Error::unsupported(Operation::Send.as_str()));
    }
    if let Content::Request { request, .. } = &what.content
        && let Question::Choice { options, .. } = &request.terms.question
        && let Some(max) = capabilities.choices_max.filter(|max| options.len() > *max as usize)
    {
        return refused(format!("the choice has {} options, this channel takes {max}", options.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::{
        ErrorKind,
        channel::{Capabilities, MemoryChannel, Receipt},
        layer::tests::{address, notice, surrounded},
    };

    #[tokio::test]
    async fn a_text_at_the_limit_passes_and_one_over_never_reaches_the_channel() {
        let all = surrounded(Capabilities { text_max: Some(3), ..MemoryChannel::CAPABILITIES });
        all.channel.send(&address(), &notice("äöü")).await.unwrap();
        let error = all.channel.send(&address(), &notice("äöüß")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert_eq!(all.below.sent().len(), 1);
    }

    #[tokio::test]
    async fn what_asks_nothing_is_refused_where_only_questions_go() {
        let all = surrounded(Capabilities { messages: false, ..MemoryChannel::CAPABILITIES });
        assert_eq!(all.channel.send(&address(), &notice("?")).await.unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(all.below.sent().is_empty());
    }

    #[tokio::test]
    async fn nobody_is_asked_for_a_link_where_accounts_are_not_linked() {
        let all = surrounded(MemoryChannel::CAPABILITIES);
        assert_eq!(all.channel.link(&"code".into()).await.unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[tokio::test]
    async fn a_thread_is_refused_where_there_are_none() {
        let all = surrounded(Capabilities { threads: false, ..MemoryChannel::CAPABILITIES });
        let mut reply = notice("hello");
        reply.thread = Some(Receipt::from(String::from("memory-1")));
        assert_eq!(all.channel.send(&address(), &reply).await.unwrap_err().kind(), ErrorKind::Unsupported);
        assert!(all.below.sent().is_empty());
    }
}
