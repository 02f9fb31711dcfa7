//! Latencies as text, and in JSON.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::ser::{Error as _, SerializeStruct as _};
use serde::{Deserialize, Serialize, Serializer, de};

use super::Latency;

/// The text is no histogram.
#[derive(Debug, thiserror::Error)]
#[error("no histogram: {0}")]
pub struct BadHistogram(String);

impl Latency {
    /// The histogram in HdrHistogram's compressed V2 format and base64, as its logs have it.
    ///
    /// # Errors
    /// If a count exceeds 2^63.
    pub fn encode(&self) -> Result<String, BadHistogram> {
        let mut bytes = Vec::new();
        let encoded = V2DeflateSerializer::new().serialize(&*self.histogram, &mut bytes);
        encoded.map_err(|e| BadHistogram(e.to_string()))?;
        Ok(BASE64_STANDARD.encode(&bytes))
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn decode(text: &str) -> Result<Self, BadHistogram> {
        let bytes = BASE64_STANDARD.decode(text).map_err(|e| BadHistogram(e.to_string()))?;
        let decoded = Deserializer::new().deserialize(&mut bytes.as_slice());
        let histogram = decoded.map_err(|e| BadHistogram(e.to_string()))?;
        Ok(Self { histogram: Box::new(histogram), home: None })
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Latency", 10)?;
        fields.serialize_field("count", &self.count())?;
        fields.serialize_field("min_ns", &self.min_ns())?;
        fields.serialize_field("mean_ns", &self.mean_ns())?;
        fields.serialize_field("stddev_ns", &self.stddev_ns())?;
        for (name, share) in [("p50_ns", 0.5), ("p90_ns", 0.9), ("p99_ns", 0.99), ("p999_ns", 0.999)] {
            fields.serialize_field(name, &self.quantile_ns(share))?;
        }
        fields.serialize_field("max_ns", &self.max_ns())?;
        fields.serialize_field("histogram", &self.encode().map_err(S::Error::custom)?)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// All else follows from it.
        #[derive(Deserialize)]
        struct Fields {
            histogram: String,
        }
        let Fields { histogram } = Fields::deserialize(deserializer)?;
        Self::decode(&histogram).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_quantiles_and_brings_all_back() {
        let latency = Latency::of((1..=1000).map(|n| n * 1000));
        let json = serde_json::to_value(&latency).unwrap();
        for (field, expected) in [
            ("min_ns", 1000),
            ("p50_ns", 500_000),
            ("p90_ns", 900_000),
            ("p99_ns", 990_000),
            ("p999_ns", 999_000),
            ("max_ns", 1_000_000),
        ] {
            let got = json[field].as_u64().unwrap();
            assert!(got.abs_diff(expected) <= expected / 1000, "{field}: {got}");
        }
        assert_eq!(json["count"], 1000);
        assert!((json["mean_ns"].as_f64().unwrap() - 500_500.0).abs() < 500.0);
        assert!((json["stddev_ns"].as_f64().unwrap() - 288_675.0).abs() < 500.0);
        assert_eq!(serde_json::from_value::<Latency>(json).unwrap(), latency);
        let none = Latency::of([]);
        let json = serde_json::to_string(&none).unwrap();
        assert_eq!(serde_json::from_str::<Latency>(&json).unwrap(), none);
    }

    #[test]
    fn what_is_no_histogram_is_an_error() {
        let whole = Latency::of([1, 2, 3_000_000]).encode().unwrap();
        for text in ["", "HIST", "not base64!", &whole[..whole.len() / 2]] {
            assert!(Latency::decode(text).is_err(), "{text}");
        }
    }

    /// A line of the control socket stays within its bound, however ragged the latencies.
    #[test]
    fn the_longest_text_is_bounded() {
        let ragged = (0..Latency::MOST_NS.ilog2()).flat_map(|k| {
            (0..2048u64).flat_map(move |i| {
                let ns = (1u64 << k) + ((i << k) >> 11);
                std::iter::repeat_n(ns, (ns.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61) as usize)
            })
        });
        let text = Latency::of(ragged).encode().unwrap();
        assert!(text.len() < 64 * 1024, "{}", text.len());
    }
}
