//! The messages of event files that are written here, by their field numbers in TensorFlow's and TensorBoard's `.proto` files
//! (`event`, `summary`, `graph`, and the plugin `hparams`).

use prost::Message;
use std::collections::BTreeMap;

/// `tensorflow.Event`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Event {
    #[prost(double, tag = "1")]
    pub(super) wall_time: f64,
    #[prost(int64, tag = "2")]
    pub(super) step: i64,
    /// Of the first event only.
    #[prost(string, optional, tag = "3")]
    pub(super) file_version: Option<String>,
    /// A `Graph`.
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(super) graph: Option<Vec<u8>>,
    #[prost(message, optional, tag = "5")]
    pub(super) summary: Option<Summary>,
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub(super) value: Vec<Value>,
}

/// `tensorflow.Summary.Value`. What it holds is part of a `oneof`, so that a number of 0 is written too.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Value {
    #[prost(string, tag = "1")]
    pub(super) tag: String,
    #[prost(float, optional, tag = "2")]
    pub(super) simple_value: Option<f32>,
    #[prost(message, optional, tag = "4")]
    pub(super) image: Option<Image>,
    #[prost(message, optional, tag = "5")]
    pub(super) histogram: Option<Histogram>,
    #[prost(message, optional, tag = "9")]
    pub(super) metadata: Option<Metadata>,
}

/// `tensorflow.Summary.Image`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Image {
    #[prost(int32, tag = "1")]
    pub(super) height: i32,
    #[prost(int32, tag = "2")]
    pub(super) width: i32,
    /// 3: red, green and blue.
    #[prost(int32, tag = "3")]
    pub(super) colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) encoded: Vec<u8>,
}

/// `tensorflow.HistogramProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Histogram {
    #[prost(double, tag = "1")]
    pub(super) min: f64,
    #[prost(double, tag = "2")]
    pub(super) max: f64,
    #[prost(double, tag = "3")]
    pub(super) num: f64,
    #[prost(double, tag = "4")]
    pub(super) sum: f64,
    #[prost(double, tag = "5")]
    pub(super) sum_squares: f64,
    /// The upper end of each bucket.
    #[prost(double, repeated, tag = "6")]
    pub(super) bucket_limit: Vec<f64>,
    #[prost(double, repeated, tag = "7")]
    pub(super) bucket: Vec<f64>,
}

/// `tensorflow.SummaryMetadata`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Metadata {
    #[prost(message, optional, tag = "1")]
    pub(super) plugin: Option<PluginData>,
}

/// `tensorflow.SummaryMetadata.PluginData`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PluginData {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) content: Vec<u8>,
}

/// `tensorflow.GraphDef`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(super) node: Vec<Node>,
    #[prost(message, optional, tag = "4")]
    pub(super) versions: Option<Versions>,
}

/// `tensorflow.VersionDef`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Versions {
    #[prost(int32, tag = "1")]
    pub(super) producer: i32,
}

/// `tensorflow.NodeDef`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Node {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) op: String,
    #[prost(string, repeated, tag = "3")]
    pub(super) input: Vec<String>,
    #[prost(btree_map = "string, message", tag = "5")]
    pub(super) attr: BTreeMap<String, Attribute>,
}

/// `tensorflow.AttrValue`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Attribute {
    #[prost(message, optional, tag = "1")]
    pub(super) list: Option<List>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(super) s: Option<Vec<u8>>,
}

/// `tensorflow.AttrValue.ListValue`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct List {
    #[prost(message, repeated, tag = "7")]
    pub(super) shape: Vec<Extents>,
}

/// `tensorflow.TensorShapeProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Extents {
    #[prost(message, repeated, tag = "2")]
    pub(super) dim: Vec<Extent>,
}

/// `tensorflow.TensorShapeProto.Dim`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Extent {
    #[prost(int64, tag = "1")]
    pub(super) size: i64,
}

/// `tensorboard.hparams.HParamsPluginData`; one of the three is there.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Settings {
    #[prost(message, optional, tag = "2")]
    pub(super) experiment: Option<Experiment>,
    #[prost(message, optional, tag = "3")]
    pub(super) start: Option<SessionStart>,
    #[prost(message, optional, tag = "4")]
    pub(super) end: Option<SessionEnd>,
}

/// `tensorboard.hparams.Experiment`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Experiment {
    #[prost(message, repeated, tag = "4")]
    pub(super) settings: Vec<SettingInfo>,
    #[prost(message, repeated, tag = "5")]
    pub(super) metrics: Vec<MetricInfo>,
}

/// `tensorboard.hparams.HParamInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SettingInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    /// 1: texts; 3: numbers.
    #[prost(int32, tag = "4")]
    pub(super) kind: i32,
}

/// `tensorboard.hparams.MetricInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) name: Option<MetricName>,
}

/// `tensorboard.hparams.MetricName`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MetricName {
    #[prost(string, tag = "2")]
    pub(super) tag: String,
}

/// `tensorboard.hparams.SessionStartInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionStart {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) settings: BTreeMap<String, Any>,
    #[prost(double, tag = "5")]
    pub(super) seconds: f64,
}

/// `tensorboard.hparams.SessionEndInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SessionEnd {
    /// 1: it came to its end.
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
    #[prost(double, tag = "2")]
    pub(super) seconds: f64,
}

/// `google.protobuf.Value`; one of the two is there.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(double, optional, tag = "2")]
    pub(super) number: Option<f64>,
    #[prost(string, optional, tag = "3")]
    pub(super) text: Option<String>,
}
