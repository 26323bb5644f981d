//! An object store of the test's own: S3 on a free port of this machine, in memory, and the same objects by plain HTTP on
//! another one. It checks signatures, counts what it serves, refuses what a test wants refused, and can hold answers back.
//! The environment says where it is, to this process and to those that sessions start. Must not know who asks.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::S3ServiceBuilder;
use s3s::{Body, HttpResponse, S3, S3Request, S3Response, S3Result, s3_error};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::SystemTime;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// What a bucket's name begins with that nobody may do anything with.
pub const LOCKED: &str = "locked";
/// What is in keys that are listed and may not be read.
pub const SECRET: &str = "secret";
/// The most that a body may have.
const BODY_BYTES_MAX: usize = 1 << 30;
/// Names of one answer to a list.
const LISTED_MAX: usize = 1000;

/// An object.
#[derive(Clone)]
struct Stored {
    bytes: bytes::Bytes,
    tag: String,
    at: SystemTime,
}

#[derive(Default)]
struct State {
    buckets: BTreeMap<String, BTreeMap<String, Stored>>,
    /// Uploads that are open, by their names, with their buckets, keys and parts.
    uploads: BTreeMap<String, (String, String, BTreeMap<i32, bytes::Bytes>)>,
    n_tags: u64,
}

/// What both ports serve.
struct Shared {
    state: Mutex<State>,
    /// By bucket.
    served_bytes: Mutex<BTreeMap<String, u64>>,
    n_waiting: Mutex<BTreeMap<String, u64>>,
    n_requests: Mutex<BTreeMap<String, u64>>,
    /// Buckets of which nothing may be read any more.
    locked: Mutex<BTreeSet<String>>,
    /// The buckets whose objects wait.
    held: watch::Sender<BTreeSet<String>>,
}

/// The store.
pub struct Server {
    shared: Arc<Shared>,
    http: String,
}

/// The store of this process, which starts when it is asked for first. Each test takes a bucket of its own.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            served_bytes: Mutex::default(),
            n_waiting: Mutex::default(),
            n_requests: Mutex::default(),
            locked: Mutex::default(),
            held: watch::Sender::default(),
        });
        let (send, receive) = std::sync::mpsc::channel();
        let served = shared.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap().block_on(async {
                let s3 = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
                send.send((s3.local_addr().unwrap(), http.local_addr().unwrap())).unwrap();
                tokio::join!(serve_s3(s3, served.clone()), serve_http(http, served));
            });
        });
        let (s3, http) = receive.recv().unwrap();
        let environment = [
            ("AWS_ACCESS_KEY_ID", "tester".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "of the test".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://{s3}")),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ];
        for (name, value) in environment {
            // SAFETY: each test asks for the store before it does anything else, and what else reads the environment
            // meanwhile does it through the standard library, which has a lock for that.
            unsafe { std::env::set_var(name, value) };
        }
        Server { shared, http: format!("http://{http}") }
    })
}

impl Server {
    /// Makes a bucket.
    pub fn bucket(&self, name: &str) {
        self.state().buckets.entry(name.to_owned()).or_default();
    }

    /// Where the objects are by plain HTTP: `/BUCKET/KEY` below it.
    pub fn http(&self) -> &str {
        &self.http
    }

    pub fn put(&self, bucket: &str, key: &str, bytes: impl Into<bytes::Bytes>) {
        self.state().put(bucket, key, bytes.into());
    }

    pub fn get(&self, bucket: &str, key: &str) -> Option<bytes::Bytes> {
        self.state().buckets.get(bucket)?.get(key).map(|stored| stored.bytes.clone())
    }

    pub fn remove(&self, bucket: &str, key: &str) {
        self.state().buckets.get_mut(bucket).and_then(|objects| objects.remove(key)).unwrap();
    }

    /// The keys of a bucket, in order.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        self.state().buckets.get(bucket).map(|objects| objects.keys().cloned().collect()).unwrap_or_default()
    }

    /// Uploads to a bucket that were neither completed nor aborted.
    pub fn n_open_uploads(&self, bucket: &str) -> usize {
        self.state().uploads.values().filter(|(of, _, _)| of == bucket).count()
    }

    /// Bytes of a bucket's objects that were served, by both ports.
    pub fn served_bytes(&self, bucket: &str) -> u64 {
        self.shared.served_bytes.lock().unwrap().get(bucket).copied().unwrap_or_default()
    }

    /// Requests about a bucket that came, to both ports.
    pub fn n_requests(&self, bucket: &str) -> u64 {
        self.shared.n_requests.lock().unwrap().get(bucket).copied().unwrap_or_default()
    }

    /// From now on nobody may do anything with a bucket.
    pub fn lock(&self, bucket: &str) {
        self.shared.locked.lock().unwrap().insert(bucket.to_owned());
    }

    /// Whether the bytes of a bucket's objects are kept back, and parts that come for it.
    pub fn hold(&self, bucket: &str, hold: bool) {
        self.shared.held.send_modify(|held| {
            match hold {
                true => held.insert(bucket.to_owned()),
                false => held.remove(bucket),
            };
        });
    }

    /// How many requests wait for that.
    pub fn n_waiting(&self, bucket: &str) -> u64 {
        self.shared.n_waiting.lock().unwrap().get(bucket).copied().unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap()
    }
}

impl State {
    fn put(&mut self, bucket: &str, key: &str, bytes: bytes::Bytes) -> String {
        self.n_tags += 1;
        let tag = format!("{:032x}", self.n_tags);
        let stored = Stored { bytes, tag: tag.clone(), at: SystemTime::now() };
        self.buckets.entry(bucket.to_owned()).or_default().insert(key.to_owned(), stored);
        tag
    }

    fn bucket(&self, bucket: &str) -> S3Result<&BTreeMap<String, Stored>> {
        self.buckets.get(bucket).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    fn stored(&self, bucket: &str, key: &str) -> S3Result<Stored> {
        self.bucket(bucket)?.get(key).cloned().ok_or_else(|| s3_error!(NoSuchKey))
    }

    /// Whether a write may take the place.
    fn check_free(&self, bucket: &str, key: &str, if_none_match: Option<&ETagCondition>) -> S3Result<()> {
        let taken = self.bucket(bucket)?.contains_key(key);
        match if_none_match {
            Some(condition) if condition.is_any() && taken => Err(s3_error!(PreconditionFailed)),
            _ => Ok(()),
        }
    }

    /// Whether what is there is what a write is to take the place of.
    fn check_same(&self, bucket: &str, key: &str, if_match: Option<&ETagCondition>) -> S3Result<()> {
        let Some(tag) = if_match.and_then(ETagCondition::as_etag) else { return Ok(()) };
        match tag.value() == self.stored(bucket, key)?.tag {
            true => Ok(()),
            false => Err(s3_error!(PreconditionFailed)),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits while a bucket's objects are kept back.
    async fn wait(&self, bucket: &str) {
        *self.n_waiting.lock().unwrap().entry(bucket.to_owned()).or_default() += 1;
        let _ = self.held.subscribe().wait_for(|held| !held.contains(bucket)).await;
        *self.n_waiting.lock().unwrap().entry(bucket.to_owned()).or_default() -= 1;
    }

    fn came(&self, bucket: &str) {
        *self.n_requests.lock().unwrap().entry(bucket.to_owned()).or_default() += 1;
    }

    fn count(&self, bucket: &str, bytes: &bytes::Bytes) {
        *self.served_bytes.lock().unwrap().entry(bucket.to_owned()).or_default() += bytes.len() as u64;
    }
}

async fn serve_s3(listener: TcpListener, shared: Arc<Shared>) {
    let mut builder = S3ServiceBuilder::new(Objects(shared.clone()));
    builder.set_auth(SimpleAuth::from_single("tester", "of the test"));
    builder.set_access(Gate(shared));
    let service = builder.build();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let service = service.clone();
        tokio::spawn(async move {
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// Who may do what.
struct Gate(Arc<Shared>);

#[async_trait::async_trait]
impl S3Access for Gate {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        let path = request.s3_path();
        self.0.came(path.get_bucket_name().unwrap_or_default());
        let locked = path.get_bucket_name().is_some_and(|bucket| {
            bucket.starts_with(LOCKED) || self.0.locked.lock().unwrap().contains(bucket)
        });
        let secret = path.get_object_key().is_some_and(|key| key.contains(SECRET));
        if request.credentials().is_none() || locked || secret {
            return Err(s3_error!(AccessDenied, "Access Denied"));
        }
        Ok(())
    }
}

/// What S3 does, as far as it is asked.
struct Objects(Arc<Shared>);

fn etag(tag: &str) -> Option<ETag> {
    Some(ETag::Strong(tag.to_owned()))
}

async fn read(body: Option<StreamingBlob>) -> S3Result<bytes::Bytes> {
    let mut body = Body::from(body.ok_or_else(|| s3_error!(IncompleteBody))?);
    body.store_all_limited(BODY_BYTES_MAX).await.map_err(|_| s3_error!(EntityTooLarge))
}

#[async_trait::async_trait]
impl S3 for Objects {
    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        self.0.wait(&input.bucket).await;
        let stored = self.0.state().stored(&input.bucket, &input.key)?;
        if let Some(tag) = input.if_match.as_ref().and_then(ETagCondition::as_etag)
            && tag.value() != stored.tag
        {
            return Err(s3_error!(PreconditionFailed));
        }
        let all = stored.bytes.len() as u64;
        let range = input.range.map(|range| range.check(all)).transpose()?;
        let content_range =
            range.as_ref().map(|range| format!("bytes {}-{}/{all}", range.start, range.end - 1));
        let bytes = match range {
            Some(range) => stored.bytes.slice(range.start as usize..range.end as usize),
            None => stored.bytes,
        };
        self.0.count(&input.bucket, &bytes);
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some(bytes.len() as i64),
            content_range,
            body: Some(StreamingBlob::from(Body::from(bytes))),
            e_tag: etag(&stored.tag),
            last_modified: Some(stored.at.into()),
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let stored = self.0.state().stored(&request.input.bucket, &request.input.key)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(stored.bytes.len() as i64),
            e_tag: etag(&stored.tag),
            last_modified: Some(stored.at.into()),
            ..Default::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.clone().or(input.start_after.clone()).unwrap_or_default();
        let state = self.0.state();
        let (mut contents, mut prefixes, mut last, mut more) = (Vec::new(), BTreeSet::new(), None, false);
        for (key, stored) in state.bucket(&input.bucket)?.iter().filter(|(key, _)| key.starts_with(&prefix)) {
            let below = &key[prefix.len()..];
            let dir = input.delimiter.as_ref().and_then(|delimiter| {
                below.split_once(delimiter.as_str()).map(|(dir, _)| format!("{prefix}{dir}{delimiter}"))
            });
            let name = dir.as_ref().unwrap_or(key);
            if *name <= after || dir.as_ref().is_some_and(|dir| prefixes.contains(dir)) {
                continue;
            }
            if contents.len() + prefixes.len() == LISTED_MAX {
                more = true;
                break;
            }
            last = Some(name.clone());
            match dir {
                Some(dir) => drop(prefixes.insert(dir)),
                None => contents.push(Object {
                    key: Some(key.clone()),
                    size: Some(stored.bytes.len() as i64),
                    e_tag: etag(&stored.tag),
                    last_modified: Some(stored.at.into()),
                    ..Default::default()
                }),
            }
        }
        let prefixes = prefixes.into_iter().map(|prefix| CommonPrefix { prefix: Some(prefix) });
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: Some(contents.len() as i32),
            contents: Some(contents),
            common_prefixes: Some(prefixes.collect()),
            is_truncated: Some(more),
            next_continuation_token: last.filter(|_| more),
            name: Some(input.bucket),
            prefix: Some(prefix),
            ..Default::default()
        }))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let bytes = read(input.body).await?;
        let mut state = self.0.state();
        state.check_free(&input.bucket, &input.key, input.if_none_match.as_ref())?;
        state.check_same(&input.bucket, &input.key, input.if_match.as_ref())?;
        let tag = state.put(&input.bucket, &input.key, bytes);
        Ok(S3Response::new(PutObjectOutput { e_tag: etag(&tag), ..Default::default() }))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented));
        };
        let mut state = self.0.state();
        let stored = state.stored(bucket, key)?;
        state.bucket(&input.bucket)?;
        let tag = state.put(&input.bucket, &input.key, stored.bytes);
        let result = CopyObjectResult {
            e_tag: etag(&tag),
            last_modified: Some(SystemTime::now().into()),
            ..Default::default()
        };
        Ok(S3Response::new(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        if let Some(objects) = self.0.state().buckets.get_mut(&request.input.bucket) {
            objects.remove(&request.input.key);
        }
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let mut state = self.0.state();
        let objects = state.buckets.get_mut(&input.bucket).ok_or_else(|| s3_error!(NoSuchBucket))?;
        let deleted = input.delete.objects.into_iter().map(|object| {
            objects.remove(&object.key);
            DeletedObject { key: Some(object.key), ..Default::default() }
        });
        let deleted = Some(deleted.collect());
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..Default::default() }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let CreateMultipartUploadInput { bucket, key, .. } = request.input;
        let mut state = self.0.state();
        state.bucket(&bucket)?;
        state.n_tags += 1;
        let upload = format!("upload-{}", state.n_tags);
        state.uploads.insert(upload.clone(), (bucket.clone(), key.clone(), BTreeMap::new()));
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(upload),
            ..Default::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        self.0.wait(&input.bucket).await;
        let bytes = read(input.body).await?;
        let mut state = self.0.state();
        let upload = state.uploads.get_mut(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        upload.2.insert(input.part_number, bytes);
        let e_tag = etag(&format!("part-{}", input.part_number));
        Ok(S3Response::new(UploadPartOutput { e_tag, ..Default::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let mut state = self.0.state();
        state.check_free(&input.bucket, &input.key, input.if_none_match.as_ref())?;
        let upload = state.uploads.remove(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        let bytes: Vec<u8> = upload.2.values().flat_map(|part| part.to_vec()).collect();
        let tag = state.put(&input.bucket, &input.key, bytes.into());
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: etag(&tag),
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        self.0.state().uploads.remove(&request.input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}

async fn serve_http(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = shared.clone();
        let service = hyper_util::service::TowerToHyperService::new(tower::service_fn(move |request| {
            let shared = shared.clone();
            async move { Ok::<_, Infallible>(shared.answer(&request).await) }
        }));
        tokio::spawn(async move {
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Shared {
    /// The answer of a server of files.
    async fn answer<B>(&self, request: &http::Request<B>) -> HttpResponse {
        let status = |status: u16| http::Response::builder().status(status).body(Body::empty()).unwrap();
        let is_head = request.method() == http::Method::HEAD;
        if !is_head && request.method() != http::Method::GET {
            return status(405);
        }
        let path = request.uri().path().trim_start_matches('/').replace("%20", " ");
        let (bucket, key) = path.split_once('/').unwrap_or((&path, ""));
        self.came(bucket);
        let Ok(stored) = self.state().stored(bucket, key) else { return status(404) };
        let all = stored.bytes.len() as u64;
        let range = request.headers().get(http::header::RANGE).and_then(|range| range.to_str().ok());
        let range = range.and_then(|range| Range::parse(range).ok()?.check(all).ok());
        let mut answer = http::Response::builder()
            .header("etag", format!("\"{}\"", stored.tag))
            .header("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT");
        let bytes = match range {
            Some(range) => {
                let said = format!("bytes {}-{}/{all}", range.start, range.end - 1);
                answer = answer.status(206).header("content-range", said);
                stored.bytes.slice(range.start as usize..range.end as usize)
            }
            None => stored.bytes,
        };
        answer = answer.header("content-length", bytes.len());
        if is_head {
            return answer.body(Body::empty()).unwrap();
        }
        self.count(bucket, &bytes);
        answer.body(Body::from(bytes)).unwrap()
    }
}
