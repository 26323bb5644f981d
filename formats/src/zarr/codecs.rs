//! Decoders that never make more bytes than the chunk has.
//!
//! `zarrs` decodes what a compressed chunk says, however much that is. Its codecs of unknown length are therefore
//! registered once more, for `zarrs` prefers what is registered at run time: the same codecs, with their decoders
//! bounded by the size that the array's metadata give. The names that `numcodecs` has for them in version 3 are taken
//! with them.
//!
//! Owns these decoders. Must not know files.

use serde_json::{Value, json};
use std::borrow::Cow;
use std::io::Read;
use std::sync::{Arc, Once};
use zarrs::array::codec::api::{
    ArrayBytesRaw, BytesPartialDecoderTraits, BytesRepresentation, BytesToBytesCodecTraits, Codec,
    CodecError, CodecMetadataOptions, CodecOptions, CodecRuntimePluginV2, CodecRuntimePluginV3, CodecTraits,
    CodecTraitsV2, CodecTraitsV3, PartialDecoderCapability, PartialEncoderCapability, RecommendedConcurrency,
    register_codec_v2, register_codec_v3,
};
use zarrs::array::codec::{
    BloscCodec, Bz2Codec, Crc32cCodec, GzipCodec, ZlibCodec, ZstdCodec, bytes_to_bytes::blosc::blosc_validate,
};
use zarrs::metadata::Configuration;
use zarrs::metadata::v2::MetadataV2;
use zarrs::metadata::v3::MetadataV3;
use zarrs::plugin::{ExtensionName, PluginCreateError, ZarrVersion};

/// Bounds that are estimates (of what another codec has encoded) are stretched by this factor and these bytes.
const SLACK_FACTOR: u64 = 2;
const SLACK_BYTES: u64 = 64 * 1024;

/// The checksum that `zarrs` knows as `crc32c`, by the name of `numcodecs`, which can put it in front too.
fn crc32c(configuration: Option<&Configuration>) -> Result<Codec, PluginCreateError> {
    match configuration.and_then(|c| c.get("location")).and_then(Value::as_str) {
        None | Some("end") => <Crc32cCodec as CodecTraitsV3>::create(&MetadataV3::new("crc32c")),
        Some(other) => {
            Err(PluginCreateError::Other(format!("codec crc32c with its checksum at the {other}")))
        }
    }
}

/// What version 2's `blosc` is called among the bounded decoders.
const BLOSC_V2: &str = "tilework.blosc";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Blosc,
    Bz2,
    Gzip,
    Zlib,
    Zstd,
}

const KINDS: [Kind; 5] = [Kind::Blosc, Kind::Bz2, Kind::Gzip, Kind::Zlib, Kind::Zstd];

impl Kind {
    /// The name without a prefix.
    fn name(self) -> &'static str {
        match self {
            Kind::Blosc => "blosc",
            Kind::Bz2 => "bz2",
            Kind::Gzip => "gzip",
            Kind::Zlib => "zlib",
            Kind::Zstd => "zstd",
        }
    }

    /// Whether version 3 calls it so.
    fn is_v3(self, name: &str) -> bool {
        let plain = name.strip_prefix("numcodecs.").unwrap_or(name);
        plain == self.name() && (plain != name || !matches!(self, Kind::Bz2 | Kind::Zlib))
    }

    /// Whether version 2 calls it so. `zarrs` makes its own decoder for `blosc` there, and takes the element's size from
    /// the array: [`bounded_blosc`] has another name for it.
    fn is_v2(self, id: &str) -> bool {
        id == if self == Kind::Blosc { BLOSC_V2 } else { self.name() }
    }

    fn create_v3(self, metadata: &MetadataV3) -> Result<Codec, PluginCreateError> {
        self.bound(match self {
            Kind::Blosc => <BloscCodec as CodecTraitsV3>::create(&specified(metadata, "blosc")),
            Kind::Bz2 => <Bz2Codec as CodecTraitsV3>::create(metadata),
            Kind::Gzip => <GzipCodec as CodecTraitsV3>::create(metadata),
            Kind::Zlib => <ZlibCodec as CodecTraitsV3>::create(metadata),
            Kind::Zstd => <ZstdCodec as CodecTraitsV3>::create(&specified(metadata, "zstd")),
        }?)
    }

    fn create_v2(self, metadata: &MetadataV2) -> Result<Codec, PluginCreateError> {
        self.bound(match self {
            Kind::Blosc => {
                let configuration = metadata.configuration().clone();
                let metadata = MetadataV3::new_with_configuration("blosc", configuration);
                return self.create_v3(&metadata);
            }
            Kind::Bz2 => <Bz2Codec as CodecTraitsV2>::create(metadata),
            Kind::Gzip => <GzipCodec as CodecTraitsV2>::create(metadata),
            Kind::Zlib => <ZlibCodec as CodecTraitsV2>::create(metadata),
            Kind::Zstd => <ZstdCodec as CodecTraitsV2>::create(metadata),
        }?)
    }

    fn bound(self, codec: Codec) -> Result<Codec, PluginCreateError> {
        Ok(match codec {
            Codec::BytesToBytes(inner) => Codec::BytesToBytes(Arc::new(Bounded { kind: self, inner })),
            other => other,
        })
    }

    /// Decodes at most `max` bytes.
    fn decode(self, encoded: &[u8], max: u64) -> Result<Vec<u8>, CodecError> {
        let too_long = || CodecError::Other(format!("it decodes to more than the {max} bytes of its chunk"));
        let capacity = usize::try_from(max).map_err(|_| too_long())?;
        let read = |decoder: &mut dyn Read| {
            let mut out = Vec::with_capacity(capacity);
            decoder.take(max.saturating_add(1)).read_to_end(&mut out)?;
            if out.len() as u64 > max { Err(too_long()) } else { Ok(out) }
        };
        match self {
            Kind::Blosc => match blosc_validate(encoded) {
                Some(len) if len > capacity => Err(too_long()),
                Some(len) => {
                    zarrs::array::codec::bytes_to_bytes::blosc::blosc_decompress_bytes(encoded, len, 1)
                        .map_err(|e| CodecError::Other(e.to_string()))
                }
                None => Err(CodecError::Other("it is not of blosc's form".into())),
            },
            Kind::Bz2 => read(&mut bzip2::read::BzDecoder::new(encoded)),
            Kind::Gzip => read(&mut flate2::read::GzDecoder::new(encoded)),
            Kind::Zlib => read(&mut flate2::read::ZlibDecoder::new(encoded)),
            Kind::Zstd => Ok(zstd::bulk::decompress(encoded, capacity)?),
        }
    }
}

/// Registers the bounded decoders, once in a process.
pub(crate) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        register_codec_v3(CodecRuntimePluginV3::new(
            |name| name == "numcodecs.crc32c",
            |metadata| crc32c(metadata.configuration()),
        ));
        register_codec_v2(CodecRuntimePluginV2::new(
            |id| id == "crc32c",
            |metadata| crc32c(Some(metadata.configuration())),
        ));
        for kind in KINDS {
            register_codec_v3(CodecRuntimePluginV3::new(
                move |name| kind.is_v3(name),
                move |metadata| kind.create_v3(metadata),
            ));
            register_codec_v2(CodecRuntimePluginV2::new(
                move |id| kind.is_v2(id),
                move |metadata| kind.create_v2(metadata),
            ));
        }
    });
}

/// Metadata of version 3 with what `numcodecs` writes in them turned into what the specification has.
fn specified(metadata: &MetadataV3, name: &str) -> MetadataV3 {
    let mut configuration = metadata.configuration().map(|c| (**c).clone()).unwrap_or_default();
    if name == "blosc" && configuration.get("shuffle").is_some_and(Value::is_number) {
        // Reading does not depend on it; for writing the element's size is not known, without which nothing can be
        // shuffled.
        configuration.insert("shuffle".into(), json!("noshuffle"));
    }
    if name == "zstd" && !configuration.contains_key("checksum") {
        configuration.insert("checksum".into(), json!(false));
    }
    MetadataV3::new_with_configuration(name, configuration)
}

/// Blosc's metadata of version 2 as the bounded decoder takes them, for elements of so many bytes.
pub(crate) fn bounded_blosc(compressor: &Value, itemsize: usize) -> Value {
    let shuffle = match compressor["shuffle"].as_i64() {
        Some(0) => "noshuffle",
        Some(1) => "shuffle",
        Some(2) => "bitshuffle",
        // Whichever suits the elements.
        _ if itemsize == 1 => "bitshuffle",
        _ => "shuffle",
    };
    let blocksize = compressor["blocksize"].as_u64().unwrap_or(0);
    json!({
        "id": BLOSC_V2,
        "cname": compressor["cname"],
        "clevel": compressor["clevel"],
        "shuffle": shuffle,
        "typesize": itemsize,
        "blocksize": blocksize,
    })
}

/// A codec with a bounded decoder.
#[derive(Debug)]
struct Bounded {
    kind: Kind,
    inner: Arc<dyn BytesToBytesCodecTraits>,
}

impl ExtensionName for Bounded {
    fn name(&self, version: ZarrVersion) -> Option<Cow<'static, str>> {
        self.inner.name(version)
    }
}

impl CodecTraits for Bounded {
    fn as_any(&self) -> &dyn std::any::Any {
        self.inner.as_any()
    }

    fn configuration(&self, version: ZarrVersion, options: &CodecMetadataOptions) -> Option<Configuration> {
        self.inner.configuration(version, options)
    }

    fn partial_decoder_capability(&self) -> PartialDecoderCapability {
        self.inner.partial_decoder_capability()
    }

    fn partial_encoder_capability(&self) -> PartialEncoderCapability {
        self.inner.partial_encoder_capability()
    }
}

impl BytesToBytesCodecTraits for Bounded {
    fn into_dyn(self: Arc<Self>) -> Arc<dyn BytesToBytesCodecTraits> {
        self
    }

    fn recommended_concurrency(
        &self,
        decoded: &BytesRepresentation,
    ) -> Result<RecommendedConcurrency, CodecError> {
        self.inner.recommended_concurrency(decoded)
    }

    fn encoded_representation(&self, decoded: &BytesRepresentation) -> BytesRepresentation {
        self.inner.encoded_representation(decoded)
    }

    fn encode<'a>(
        &self,
        decoded: ArrayBytesRaw<'a>,
        options: &CodecOptions,
    ) -> Result<ArrayBytesRaw<'a>, CodecError> {
        self.inner.encode(decoded, options)
    }

    fn decode<'a>(
        &self,
        encoded: ArrayBytesRaw<'a>,
        decoded: &BytesRepresentation,
        options: &CodecOptions,
    ) -> Result<ArrayBytesRaw<'a>, CodecError> {
        let max = match *decoded {
            BytesRepresentation::FixedSize(bytes) => bytes,
            BytesRepresentation::BoundedSize(bytes) => {
                bytes.saturating_mul(SLACK_FACTOR).saturating_add(SLACK_BYTES)
            }
            BytesRepresentation::UnboundedSize => return self.inner.decode(encoded, decoded, options),
        };
        self.kind.decode(&encoded, max).map(Cow::Owned)
    }

    fn partial_decoder(
        self: Arc<Self>,
        input: Arc<dyn BytesPartialDecoderTraits>,
        decoded: &BytesRepresentation,
        options: &CodecOptions,
    ) -> Result<Arc<dyn BytesPartialDecoderTraits>, CodecError> {
        if self.kind == Kind::Blosc {
            // Decodes the blocks that are asked for, and no more.
            return self.inner.clone().partial_decoder(input, decoded, options);
        }
        let codec = self.into_dyn();
        Ok(Arc::new(zarrs::array::codec::api::CodecPartialDefault::new_bytes(input, *decoded, codec)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn no_decoder_makes_more_than_it_may() {
        let plain = vec![7; 1 << 20];
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&plain).unwrap();
        let gzip = encoder.finish().unwrap();
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&plain).unwrap();
        let zlib = encoder.finish().unwrap();
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(&plain).unwrap();
        let bz2 = encoder.finish().unwrap();
        // With the length in the frame, and without.
        let zstd = zstd::bulk::compress(&plain, 1).unwrap();
        let stream = zstd::stream::encode_all(&plain[..], 1).unwrap();
        let cases = [
            (Kind::Gzip, gzip),
            (Kind::Zlib, zlib),
            (Kind::Bz2, bz2),
            (Kind::Zstd, zstd),
            (Kind::Zstd, stream),
        ];
        for (kind, encoded) in cases {
            assert_eq!(kind.decode(&encoded, 1 << 20).unwrap(), plain, "{kind:?}");
            assert!(kind.decode(&encoded, (1 << 20) - 1).is_err(), "{kind:?}");
            assert!(kind.decode(&encoded, 0).is_err(), "{kind:?}");
        }
        // A frame that says that it holds 64 TB.
        let lie = [0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0x40, 0, 0, 1, 0, 0];
        assert!(Kind::Zstd.decode(&lie, 100).is_err());
    }
}
