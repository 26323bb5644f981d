//! The messages of each stream. Fragments are put together before they come here.

use super::{DecodeError, Wire, all_from_wire, all_to_wire, cut, inlined, required, text};
use crate::limits::LET_GO_MAX;
use crate::message::{FromClient, FromWorker, ToClient, ToWorker};
use crate::pump::{Resumption, SessionKey};
use crate::wire::{self, client_message, client_update, scheduler_message, worker_message};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tilework_expr::Program;
use tilework_plan::{ClientHello, ClientId, Hello, JobId, LeaseId, Update, WorkerId};

const NO_MESSAGE: DecodeError =
    DecodeError::Unexpected { got: "a fragment, or a word on the connection", expected: "a whole message" };

impl Wire for Resumption {
    type Message = wire::Resumption;

    fn to_wire(&self) -> wire::Resumption {
        wire::Resumption {
            session: self.session.map_or_else(Bytes::new, |key| Bytes::copy_from_slice(&key.0)),
            received: self.received,
            process: cut(&self.process),
            away_max_us: u64::try_from(self.away_max.as_micros()).unwrap_or(u64::MAX),
            attempt: self.attempt,
        }
    }

    fn from_wire(message: wire::Resumption) -> Result<Resumption, DecodeError> {
        let wire::Resumption { session, received, process, away_max_us, attempt } = message;
        let session = match &session[..] {
            [] => None,
            given => Some(SessionKey(given.try_into().map_err(|_| {
                let why = format!("got {} bytes, expected 16", given.len());
                DecodeError::Invalid { what: "session", why }
            })?)),
        };
        let away_max = Duration::from_micros(away_max_us);
        Ok(Resumption { session, received, process: text("process", process)?, away_max, attempt })
    }
}

impl Wire for FromWorker {
    type Message = wire::WorkerMessage;

    fn to_wire(&self) -> wire::WorkerMessage {
        use worker_message::Kind;
        let kind = match self {
            FromWorker::Hello(hello) => Kind::Hello(hello.to_wire()),
            FromWorker::Reports { reports, inlined } => {
                Kind::Reports(wire::Reports { reports: all_to_wire(reports), inlined: all_to_wire(inlined) })
            }
            FromWorker::Leaving => Kind::Leaving(wire::Empty {}),
            FromWorker::LastWords(words) => Kind::LastWords(cut(words)),
        };
        wire::WorkerMessage { kind: Some(kind) }
    }

    fn from_wire(message: wire::WorkerMessage) -> Result<FromWorker, DecodeError> {
        use worker_message::Kind;
        Ok(match message.kind.ok_or(DecodeError::Missing("message"))? {
            Kind::Hello(hello) => FromWorker::Hello(Hello::from_wire(hello)?),
            Kind::Reports(all) => FromWorker::Reports {
                reports: all_from_wire(all.reports)?,
                inlined: inlined::all(all.inlined)?,
            },
            Kind::Leaving(_) => FromWorker::Leaving,
            Kind::LastWords(words) => FromWorker::LastWords(text("last words", words)?),
            Kind::Fragment(_) | Kind::Received(_) | Kind::Resumption(_) => return Err(NO_MESSAGE),
        })
    }
}

impl Wire for ToWorker {
    type Message = wire::SchedulerMessage;

    fn to_wire(&self) -> wire::SchedulerMessage {
        use scheduler_message::Kind;
        let kind = match self {
            ToWorker::Welcome(worker) => Kind::Welcome(worker.0),
            ToWorker::Instructions { programs, instructions } => Kind::Instructions(wire::Instructions {
                programs: programs.iter().map(program_to_wire).collect(),
                instructions: all_to_wire(instructions),
            }),
            ToWorker::Closing(why) => Kind::Closing(cut(why)),
            ToWorker::Ended => Kind::Ended(wire::Empty {}),
            ToWorker::Refused(why) => Kind::Refused(cut(why)),
        };
        wire::SchedulerMessage { kind: Some(kind) }
    }

    fn from_wire(message: wire::SchedulerMessage) -> Result<ToWorker, DecodeError> {
        use scheduler_message::Kind;
        Ok(match message.kind.ok_or(DecodeError::Missing("message"))? {
            Kind::Welcome(worker) => ToWorker::Welcome(WorkerId(worker)),
            Kind::Instructions(all) => ToWorker::Instructions {
                programs: all.programs.into_iter().map(program_from_wire).collect::<Result<_, _>>()?,
                instructions: all_from_wire(all.instructions)?,
            },
            Kind::Closing(why) => ToWorker::Closing(text("reason", why)?),
            Kind::Ended(_) => ToWorker::Ended,
            Kind::Refused(why) => ToWorker::Refused(text("reason", why)?),
            Kind::Fragment(_) | Kind::Received(_) | Kind::Resumption(_) => return Err(NO_MESSAGE),
        })
    }
}

fn program_to_wire((job, program): &(JobId, Arc<Program>)) -> wire::JobProgram {
    wire::JobProgram { job: job.0, program: Some(program.to_wire()) }
}

fn program_from_wire(message: wire::JobProgram) -> Result<(JobId, Arc<Program>), DecodeError> {
    Ok((JobId(message.job), Arc::new(required(message.program, "program")?)))
}

impl Wire for ClientHello {
    type Message = wire::ClientHello;

    fn to_wire(&self) -> wire::ClientHello {
        let ClientHello { program, pid, user, host } = self;
        wire::ClientHello { program: cut(program), pid: *pid, user: cut(user), host: cut(host) }
    }

    fn from_wire(message: wire::ClientHello) -> Result<ClientHello, DecodeError> {
        let wire::ClientHello { program, pid, user, host } = message;
        let (program, user) = (text("program", program)?, text("user", user)?);
        Ok(ClientHello { program, pid, user, host: text("host", host)? })
    }
}

impl Wire for FromClient {
    type Message = wire::ClientMessage;

    fn to_wire(&self) -> wire::ClientMessage {
        use client_message::Kind;
        let kind = match self {
            FromClient::Submit { job, program } => {
                Kind::Submit(wire::Submit { job: job.0, program: Some(program.to_wire()) })
            }
            FromClient::Release(job) => Kind::Release(job.0),
            FromClient::LetGo { job, results } => {
                let results = results.iter().map(|(output, r)| wire::Results {
                    output: *output,
                    start: r.start,
                    end: r.end,
                });
                Kind::LetGo(wire::LetGo { job: job.0, results: results.collect() })
            }
            FromClient::Hello(hello) => Kind::Hello(hello.to_wire()),
            FromClient::Named { ticket, request } => Kind::Named((*ticket, request.clone()).to_wire()),
            FromClient::PutFailed { lease, task, why } => {
                Kind::PutFailed(wire::PutFailed { lease: lease.0, task: Some(task.to_wire()), why: cut(why) })
            }
        };
        wire::ClientMessage { kind: Some(kind) }
    }

    fn from_wire(message: wire::ClientMessage) -> Result<FromClient, DecodeError> {
        use client_message::Kind;
        Ok(match message.kind.ok_or(DecodeError::Missing("message"))? {
            Kind::Submit(s) => FromClient::Submit {
                job: JobId(s.job),
                program: Arc::new(required::<Program>(s.program, "program")?),
            },
            Kind::Release(job) => FromClient::Release(JobId(job)),
            Kind::LetGo(let_go) => {
                let n = let_go.results.len();
                if n > LET_GO_MAX {
                    let (got, limit) = (n as u64, LET_GO_MAX as u64);
                    return Err(DecodeError::TooLarge { what: "results let go of", got, limit });
                }
                let results = let_go.results.into_iter().map(|r| match r.start <= r.end {
                    true => Ok((r.output, r.start..r.end)),
                    false => {
                        let why = format!("{} to {}", r.start, r.end);
                        Err(DecodeError::Invalid { what: "results", why })
                    }
                });
                FromClient::LetGo { job: JobId(let_go.job), results: results.collect::<Result<_, _>>()? }
            }
            Kind::Hello(hello) => FromClient::Hello(ClientHello::from_wire(hello)?),
            Kind::Named(named) => {
                let (ticket, request) = Wire::from_wire(named)?;
                FromClient::Named { ticket, request }
            }
            Kind::PutFailed(p) => FromClient::PutFailed {
                lease: LeaseId(p.lease),
                task: required(p.task, "task")?,
                why: text("reason", p.why)?,
            },
            Kind::Fragment(_) | Kind::Received(_) | Kind::Resumption(_) => return Err(NO_MESSAGE),
        })
    }
}

impl Wire for ToClient {
    type Message = wire::ClientUpdate;

    fn to_wire(&self) -> wire::ClientUpdate {
        use client_update::Kind;
        let kind = match self {
            ToClient::Welcome(client) => Kind::Welcome(client.0),
            ToClient::Update { job, update, inlined } => Kind::Update(wire::JobUpdate {
                job: job.0,
                update: Some(update.to_wire()),
                inlined: all_to_wire(inlined),
            }),
            ToClient::Named { ticket, answer } => Kind::Named((*ticket, answer.clone()).to_wire()),
            ToClient::Closing(why) => Kind::Closing(cut(why)),
        };
        wire::ClientUpdate { kind: Some(kind) }
    }

    fn from_wire(message: wire::ClientUpdate) -> Result<ToClient, DecodeError> {
        use client_update::Kind;
        Ok(match message.kind.ok_or(DecodeError::Missing("message"))? {
            Kind::Welcome(client) => ToClient::Welcome(ClientId(client)),
            Kind::Update(u) => ToClient::Update {
                job: JobId(u.job),
                update: required::<Update>(u.update, "update")?,
                inlined: inlined::all(u.inlined)?,
            },
            Kind::Named(named) => {
                let (ticket, answer) = Wire::from_wire(named)?;
                ToClient::Named { ticket, answer }
            }
            Kind::Closing(why) => ToClient::Closing(text("reason", why)?),
            Kind::Fragment(_) | Kind::Received(_) | Kind::Resumption(_) => return Err(NO_MESSAGE),
        })
    }
}
