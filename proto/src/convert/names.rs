//! What clients ask about names.

use super::{DecodeError, Wire, cut, required, text};
use crate::names::{NAMES_MAX, NameAnswer, NameError, NameRequest, Named};
use crate::wire::{self, name_answer, name_error, name_request};
use std::sync::Arc;
use tilework_plan::JobId;

/// A request and the client's number for it.
impl Wire for (u64, NameRequest) {
    type Message = wire::NameRequest;

    fn to_wire(&self) -> wire::NameRequest {
        use name_request::Kind;
        let kind = match &self.1 {
            NameRequest::Publish { job, name, program } => Kind::Publish(wire::Publish {
                job: job.0,
                name: name.clone(),
                program: Some(program.to_wire()),
            }),
            NameRequest::Get(name) => Kind::Get(name.clone()),
            NameRequest::List => Kind::List(wire::Empty {}),
            NameRequest::Unpublish(name) => Kind::Unpublish(name.clone()),
        };
        wire::NameRequest { ticket: self.0, kind: Some(kind) }
    }

    fn from_wire(message: wire::NameRequest) -> Result<Self, DecodeError> {
        use name_request::Kind;
        let request = match message.kind.ok_or(DecodeError::Missing("request"))? {
            Kind::Publish(p) => NameRequest::Publish {
                job: JobId(p.job),
                name: text("name", p.name)?,
                program: Arc::new(required(p.program, "program")?),
            },
            Kind::Get(name) => NameRequest::Get(text("name", name)?),
            Kind::List(_) => NameRequest::List,
            Kind::Unpublish(name) => NameRequest::Unpublish(text("name", name)?),
        };
        Ok((message.ticket, request))
    }
}

/// An answer and the number of what it answers.
impl Wire for (u64, Result<NameAnswer, NameError>) {
    type Message = wire::NameAnswer;

    fn to_wire(&self) -> wire::NameAnswer {
        use name_answer::Kind;
        let kind = match &self.1 {
            Ok(NameAnswer::Done) => Kind::Done(wire::Empty {}),
            Ok(NameAnswer::Found(program)) => Kind::Found(program.to_wire()),
            Ok(NameAnswer::All(all)) => {
                Kind::All(wire::AllNamed { all: all.iter().map(Wire::to_wire).collect() })
            }
            Err(error) => Kind::Error(error.to_wire()),
        };
        wire::NameAnswer { ticket: self.0, kind: Some(kind) }
    }

    fn from_wire(message: wire::NameAnswer) -> Result<Self, DecodeError> {
        use name_answer::Kind;
        let answer = match message.kind.ok_or(DecodeError::Missing("answer"))? {
            Kind::Done(_) => Ok(NameAnswer::Done),
            Kind::Found(program) => Ok(NameAnswer::Found(Arc::new(Wire::from_wire(program)?))),
            Kind::All(all) => Ok(NameAnswer::All(super::all_from_wire(all.all)?)),
            Kind::Error(error) => Err(NameError::from_wire(error)?),
        };
        Ok((message.ticket, answer))
    }
}

impl Wire for Named {
    type Message = wire::Named;

    fn to_wire(&self) -> wire::Named {
        let Named { name, program, by, age_us } = self;
        wire::Named { name: name.clone(), program: Some(program.to_wire()), by: cut(by), age_us: *age_us }
    }

    fn from_wire(message: wire::Named) -> Result<Named, DecodeError> {
        let wire::Named { name, program, by, age_us } = message;
        let program = Arc::new(required(program, "program")?);
        Ok(Named { name: text("name", name)?, program, by: text("owner", by)?, age_us })
    }
}

impl Wire for NameError {
    type Message = wire::NameError;

    fn to_wire(&self) -> wire::NameError {
        use name_error::Kind;
        let kind = match self {
            NameError::Taken { name, by } => Kind::Taken(wire::NameTaken { name: name.clone(), by: cut(by) }),
            NameError::Unknown { name, there } => {
                Kind::Unknown(wire::NameUnknown { name: name.clone(), there: there.clone() })
            }
            NameError::Lost { name, why } => Kind::Lost(wire::NameLost { name: name.clone(), why: cut(why) }),
            NameError::Refused(why) => Kind::Refused(cut(why)),
        };
        wire::NameError { kind: Some(kind) }
    }

    fn from_wire(message: wire::NameError) -> Result<NameError, DecodeError> {
        use name_error::Kind;
        Ok(match message.kind.ok_or(DecodeError::Missing("error"))? {
            Kind::Taken(t) => NameError::Taken { name: text("name", t.name)?, by: text("owner", t.by)? },
            Kind::Unknown(u) => {
                let there = u.there.into_iter().take(NAMES_MAX);
                let there = there.map(|name| text("name", name)).collect::<Result<_, _>>()?;
                NameError::Unknown { name: text("name", u.name)?, there }
            }
            Kind::Lost(l) => NameError::Lost { name: text("name", l.name)?, why: text("reason", l.why)? },
            Kind::Refused(why) => NameError::Refused(text("reason", why)?),
        })
    }
}
