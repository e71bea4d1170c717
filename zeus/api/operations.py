"""What each route takes and gives, as data: the OpenAPI document is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from zeus import wire
from zeus.api import nodes, session, uploads, versions, videos
from zeus.api.add_job import MOST_SECONDS, AddJob
from zeus.api.generate import GenerateRequest
from zeus.api.jobs import MOST
from zeus.api.uploads import NewUpload
from zeus.nodes.history import KEPT

Jobs = Sequence[wire.JobView]


class Query(msgspec.Struct, frozen=True):
    """A query parameter; `kind` is its type with its bounds."""

    name: str
    kind: Any
    about: str
    required: bool = False


class Operation(msgspec.Struct, frozen=True):
    """A route for its readers. `gives` maps a status to the type of its JSON, to a content type, to several of
    these in a tuple, or to None."""

    summary: str
    gives: Mapping[int, Any]
    query: Sequence[Query] = ()
    takes: Any = None
    """The type of the JSON body."""
    raw: Sequence[str] = ()
    """The content types of a body of bytes."""
    form: bool = False
    """Whether a multipart form of `json` and `file` is taken too."""
    file: str = ""
    """The file of a multipart form that is taken too, and has the fields of `takes` besides."""
    example: Any = None
    """A body that works."""
    headers: Sequence[str] = ()
    """Request headers beyond the usual that it heeds."""


TEXT, BYTES, STREAM, ZIP, JPEG = (
    "text/plain",
    "application/octet-stream",
    "text/event-stream",
    "application/zip",
    "image/jpeg",
)
PREVIEW = (JPEG, "video/mp4")
CONFIRM = Query("confirm", Annotated[str, Meta(examples=["1"])], "Says that it is meant: 1, true, yes or on", True)
FULL = Annotated[str, Meta(pattern="^(standard|full)$")]
ENGINE_VIEW = Query("response_type", FULL, "How much to tell; standard")
ENGINE = Query("engine", str, "Which engine", True)
WISH = Query("version", str, "latest, lts, the beginning of a version such as 4.2, or a version; latest")
PLATFORM = (
    Query("system_os", Annotated[str, Meta(examples=["linux"])], "linux, windows or macos; this node's"),
    Query("cpu", Annotated[str, Meta(examples=["x64"])], "x64 or arm64; this node's"),
)
KEY = ("Idempotency-Key",)
CACHED = ("Accept-Encoding", "If-None-Match")

OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("GET", "/api/model-status"): Operation("Whether the generation model can be used", {200: wire.ModelStatus}),
    ("GET", "/api/models"): Operation("The generation models and their states", {200: wire.ModelList}),
    ("POST", "/api/models/{model}/pull"): Operation(
        "Fetch a model's weights", {202: wire.ModelView, 404: wire.ErrorBody, 409: wire.ErrorBody}
    ),
    ("POST", "/api/models/{model}/remove"): Operation(
        "Remove fetched weights", {200: wire.ModelView, 404: wire.ErrorBody, 409: wire.ErrorBody}
    ),
    ("POST", "/api/models/{model}/use"): Operation(
        "Make a model the default one", {200: wire.ModelView, 404: wire.ErrorBody, 409: wire.ErrorBody}
    ),
    ("POST", "/api/generate"): Operation(
        "Make a video from a prompt", {202: wire.JobAccepted, 409: wire.ErrorBody, 503: wire.ErrorBody},
        takes=GenerateRequest, example={"prompt": "a red fox running through snow at dusk"}, headers=KEY,
    ),
    ("GET", "/files/{job_id}/out.mp4"): Operation(
        "A generated video", {200: "video/mp4", 206: "video/mp4", 304: None, 412: None, 416: wire.ErrorBody},
        headers=("Range", "If-None-Match"),
    ),
    ("POST", "/v1/videos"): Operation(
        "Make a video, by OpenAI's API", {200: wire.Video, 409: wire.OpenAIError, 503: wire.OpenAIError,
                                          507: wire.OpenAIError},
        takes=videos.CreateVideo, file=videos.PICTURE, headers=KEY,
        example={"prompt": "a red fox running through snow at dusk", "seconds": "2", "size": "640x360"},
    ),
    ("GET", "/v1/videos"): Operation(
        "The videos, page by page", {200: wire.VideoList},
        query=(
            Query("after", str, "Goes on behind the video with this id"),
            Query("limit", Annotated[int, Meta(ge=1, le=videos.MOST)], f"So many at most; {videos.PAGE}"),
            Query("order", Annotated[str, Meta(pattern="^(asc|desc)$")], "By age; desc, which is the newest first"),
        ),
    ),
    ("GET", "/v1/videos/{job_id}"): Operation("How far a video is", {200: wire.Video}),
    ("DELETE", "/v1/videos/{job_id}"): Operation(
        "Remove a video with its job; one that is being made is ended first", {200: wire.VideoDeleted}
    ),
    ("GET", "/v1/videos/{job_id}/content"): Operation(
        "The video itself, or a picture of it", {200: ("video/mp4", JPEG), 206: ("video/mp4", JPEG), 304: None,
                                                 412: None, 416: wire.OpenAIError, 500: wire.OpenAIError},
        query=(Query("variant", Annotated[str, Meta(pattern="^(video|thumbnail)$")], "video"),),
        headers=("Range", "If-None-Match"),
    ),
    ("POST", "/v1/videos/{job_id}/remix"): Operation("Not supported: always refused", {}),
    ("POST", "/v1/videos/edits"): Operation("Not supported: always refused", {}),
    ("POST", "/v1/videos/extensions"): Operation("Not supported: always refused", {}),
    ("POST", "/v1/videos/characters"): Operation("Not supported: always refused", {}),
    ("GET", "/v1/videos/characters/{character_id}"): Operation("Not supported: always refused", {}),
    ("GET", "/api/jobs"): Operation(
        "All jobs, the newest first, or those that the filters leave", {200: wire.JobList, 304: None},
        query=(
            Query("status", str, "Only jobs of this status; the farm API's older words are known too"),
            Query("renderer", str, "Only jobs of this engine"),
            Query("limit", Annotated[int, Meta(ge=1, le=10_000)], "So many jobs at most"),
            Query("after", str, "Only jobs older than the one with this id"),
            Query("fields", str, "Only these fields of each job, separated by commas"),
        ),
        headers=("If-None-Match", "Accept-Encoding"),
    ),
    ("GET", "/api/jobs/long_poll"): Operation(
        "The list of jobs as soon as anything changed", {200: (wire.JobList, wire.JobChanges), 204: None},
        query=(
            Query("token", str, "The token of the last list"),
            Query("timeout", Annotated[float, Meta(ge=1, le=60)], "Seconds to wait; 30"),
            Query("changes_only", str, "1: only the jobs that changed, and the ids of those removed"),
        ),
        headers=("Accept-Encoding",),
    ),
    ("GET", "/api/jobs/status/{status}"): Operation("The jobs of one status", {200: Jobs}),
    ("GET", "/api/jobs/{job_id}"): Operation("One job", {200: wire.JobView}),
    ("GET", "/api/jobs/{job_id}/why"): Operation("Why a job is not running yet", {200: wire.WhyView}),
    ("GET", "/api/jobs/{job_id}/frames"): Operation(
        "Each frame's state, node and seconds",
        {200: wire.FrameList},
        [
            Query("start", Annotated[int, Meta(ge=-wire.FRAME_LIMIT, le=wire.FRAME_LIMIT)], "The first frame to list"),
            Query("limit", Annotated[int, Meta(ge=1, le=MOST)], "So many at most; 10,000"),
        ],
    ),
    ("GET", "/api/jobs/{job_id}/logs"): Operation(
        "An attempt's log, the newest unless told otherwise", {200: TEXT, 206: TEXT, 304: None, 416: wire.ErrorBody},
        query=(
            Query("attempt", Annotated[int, Meta(ge=0)], "Which attempt"),
            Query("follow", str, "1: stream it as it grows, until the job has ended"),
        ),
        headers=("Range", "If-None-Match"),
    ),
    ("GET", "/api/jobs/{job_id}/files"): Operation(
        "A job's outputs: their names, or all about them", {200: (Sequence[str], Sequence[wire.FileView])},
        query=(Query("response_type", FULL, "How much to tell; standard"),),
    ),
    ("GET", "/api/jobs/{job_id}/download"): Operation(
        "One output", {200: BYTES, 206: BYTES, 304: None, 409: wire.ErrorBody, 416: wire.ErrorBody},
        query=(Query("filename", str, "Which file; case does not matter where that is clear", True),),
        headers=("Range", "If-None-Match"),
    ),
    ("GET", "/api/jobs/{job_id}/download_all"): Operation("All outputs as a zip", {200: ZIP}),
    ("GET", "/api/jobs/{job_id}/thumbnail"): Operation(
        "A preview of the outputs, or of one", {200: PREVIEW, 204: None, 206: PREVIEW, 304: None, 409: wire.ErrorBody,
                                   416: wire.ErrorBody, 500: wire.ErrorBody},
        query=(
            Query("size", Annotated[str, Meta(pattern="^(small|big)?$")], "small fits 240×240, big 1280×1280"),
            Query("video_ok", str, "1: a short video where there is one"),
            Query("filename", str, "Of this output"),
            Query("missing_ok", str, "1: 204 where there is nothing to show"),
        ),
        headers=("Range", "If-None-Match"),
    ),
    ("POST", "/api/jobs/{job_id}/cancel"): Operation(
        "End a job; answers when nothing of it runs any more, or with 202 where another node cannot be told so now",
        {200: wire.JobView, 202: wire.JobView, 303: None},
        query=(CONFIRM, Query("redirect", str, "1: answer with a redirect to /")),
    ),
    ("POST", "/api/jobs/{job_id}/delete"): Operation(
        "End a job and remove it with its files", {200: wire.JobView, 202: wire.JobView, 409: wire.ErrorBody},
        query=(CONFIRM,),
    ),
    ("POST", "/api/jobs/{job_id}/pause"): Operation(
        "Hold a job up", {200: wire.JobView, 202: wire.JobView, 409: wire.ErrorBody}
    ),
    ("POST", "/api/jobs/{job_id}/resume"): Operation("Let a paused job run", {200: wire.JobView, 409: wire.ErrorBody}),
    ("POST", "/api/jobs/{job_id}/retry"): Operation(
        "Start a failed or cancelled job anew", {200: wire.JobView, 409: wire.ErrorBody}
    ),
    ("POST", "/api/jobs/{job_id}/priority"): Operation(
        "Change a job's place in line", {200: wire.JobView, 409: wire.ErrorBody},
        query=(Query("value", Annotated[int, Meta(ge=0, le=100)], "Higher runs first", True),),
    ),
    ("POST", "/api/jobs/{job_id}/subjob_update"): Operation(
        "A subjob's news, from the node that runs it", {200: wire.JobView, 403: wire.ErrorBody, 409: wire.ErrorBody},
        takes=wire.SubjobUpdate,
        example={"id": "6c1f3c0e", "status": "running", "attempt": 1, "percent_complete": 40, "completed_frames": 4},
    ),
    ("POST", "/api/add_job"): Operation(
        "Add a job, or a list of them", {200: (wire.JobView, Jobs, wire.DryRun, Sequence[wire.DryRun]),
                                         409: wire.ErrorBody, 503: wire.ErrorBody, 507: wire.ErrorBody},
        takes=AddJob | Sequence[AddJob], form=True, headers=KEY,
        example={"renderer": "video", "args": {"prompt": "ocean waves at sunset", "num_frames": 24}},
        query=(
            Query("dry_run", str, "1: only check it, and say which nodes could run it"),
            Query("filename", str, "With dry_run: the name of the input that is still to come"),
            Query(
                "seconds", Annotated[float, Meta(ge=0.001, le=MOST_SECONDS)],
                "With dry_run: how long a video shall be, in place of its number of frames",
            ),
        ),
    ),
    ("POST", "/api/uploads"): Operation(
        "Begin an upload; complete at once where its content is here already",
        {200: wire.UploadView, 201: wire.UploadView, 404: wire.ErrorBody, 409: wire.ErrorBody, 507: wire.ErrorBody},
        takes=NewUpload, example={"name": "scene.mp4", "size": 1048576}, headers=KEY,
    ),
    ("GET", "/api/uploads/{upload_id}"): Operation("How far an upload has come", {200: wire.UploadView}),
    ("PATCH", "/api/uploads/{upload_id}"): Operation(
        "Send what comes next", {204: None, 409: wire.ErrorBody, 507: wire.ErrorBody},
        raw=uploads.TYPES, headers=("Upload-Offset",),
    ),
    ("DELETE", "/api/uploads/{upload_id}"): Operation("Remove an upload", {204: None, 409: wire.ErrorBody}),
    ("GET", "/api/uploads/{upload_id}/facts"): Operation(
        "What an upload holds", {200: wire.UploadFacts, 409: wire.ErrorBody},
        [Query("project_file", str, "Which file in a zip is meant, when it holds several projects")],
    ),
    ("GET", "/api/events"): Operation("Job changes as they happen", {200: STREAM}, headers=("Last-Event-ID",)),
    ("POST", "/api/session"): Operation(
        "Sign in with a token, to a cookie", {200: wire.SessionView}, takes=session.SignIn,
        example={"token": "the token of this node"},
    ),
    ("DELETE", "/api/session"): Operation("Sign out", {204: None}),
    ("GET", "/"): Operation("The page", {200: "text/html", 304: None}, headers=CACHED),
    ("GET", "/static/{file}"): Operation(
        "The files of the page", {200: ("text/css", "text/javascript", "image/svg+xml"), 304: None},
        headers=CACHED,
    ),
    ("GET", "/healthz"): Operation("Liveness", {200: TEXT}),
    ("GET", "/readyz"): Operation("Readiness", {200: TEXT, 503: wire.ErrorBody}),
    ("GET", "/api/openapi.json"): Operation("This document", {200: Mapping[str, Any]}),
    ("GET", "/api/docs"): Operation("This document as a page", {200: "text/html"}),
    ("GET", "/api/engines"): Operation(
        "The engines by name", {200: Mapping[str, wire.EngineDetails]}, query=(ENGINE_VIEW,)
    ),
    ("GET", "/api/engines/names"): Operation("The engines' names", {200: Sequence[str]}),
    ("GET", "/api/engines/for_filename"): Operation(
        "The engine that takes a file", {200: TEXT, 404: wire.ErrorBody},
        query=(Query("filename", str, "The file's name", True),),
    ),
    ("GET", "/api/engines/download_available"): Operation(
        "Whether a managed version can be had", {200: wire.ReleaseView, 404: wire.ErrorBody, 503: wire.ErrorBody},
        query=(ENGINE, WISH, *PLATFORM),
    ),
    ("GET", "/api/engines/most_recent_version"): Operation(
        "The newest version that can be had", {200: wire.NewestView, 404: wire.ErrorBody, 503: wire.ErrorBody},
        query=(ENGINE, *PLATFORM),
    ),
    ("POST", "/api/engines/download"): Operation(
        "Fetch, verify and install a version", {202: wire.DownloadView, 404: wire.ErrorBody, 503: wire.ErrorBody},
        query=(ENGINE, WISH, *PLATFORM),
    ),
    ("POST", "/api/engines/delete"): Operation(
        "Remove a managed version", {200: wire.EngineView, 404: wire.ErrorBody, 409: wire.ErrorBody},
        takes=versions.DeleteVersion, example={"engine": "blender", "version": "4.2.3"},
    ),
    ("GET", "/api/engines/{engine}"): Operation(
        "One engine", {200: wire.EngineDetails}, query=(ENGINE_VIEW,)
    ),
    ("GET", "/api/engines/{engine}/availability"): Operation(
        "Whether an engine can take jobs here", {200: wire.EngineAvailability}
    ),
    ("GET", "/api/engines/{engine}/args"): Operation("JSON Schema of its arguments", {200: Mapping[str, Any]}),
    ("GET", "/api/engines/{engine}/help"): Operation("The engine's own help", {200: TEXT, 503: wire.ErrorBody}),
    ("GET", "/api/heartbeat"): Operation("The time now", {200: TEXT}),
    ("GET", "/api/status"): Operation("The node and its machine", {200: wire.StatusView}),
    ("GET", "/api/snapshot"): Operation("The node, its machine and its jobs", {200: wire.Snapshot}),
    ("GET", "/api/full_status"): Operation("The same of every known node", {200: wire.FullStatus}),
    ("GET", "/api/nodes"): Operation(
        "This node and those that it knows", {200: wire.NodeList},
        query=(
            Query("history", Annotated[float, Meta(ge=0, le=KEPT)], "With the load of so many last seconds; 0"),
        ),
    ),
    ("GET", "/api/nodes/self"): Operation("What this node says of itself to other nodes", {200: wire.Portrait}),
    ("POST", "/api/nodes"): Operation(
        "Pair this node with another one, by a code or a token", {200: wire.NodeView},
        takes=nodes.NewNode, example={"url": "http://render-1:8080", "code": "42-123-456"},
    ),
    ("DELETE", "/api/nodes/{node_id}"): Operation("Forget a node", {204: None, 404: wire.ErrorBody}),
    ("POST", "/api/nodes/pairing"): Operation("A code to type at another node", {200: wire.PairingCode}),
    ("POST", "/api/nodes/pair"): Operation(
        "Another node says that it knows a code", {200: wire.PairReply}, takes=wire.PairOffer,
        example={"id": "5f0c2d0e", "name": "render-2", "place": "42", "public": "0a1b"},
    ),
    ("POST", "/api/nodes/pair/{exchange}"): Operation(
        "It proves it, and the two nodes trust each other", {204: None}, takes=wire.PairConfirm,
        example={"proof": "0" * 64},
    ),
    ("POST", "/api/nodes/prove"): Operation(
        "Who this node is, and for a node that it is paired with the proof of it", {200: wire.Proof},
        takes=wire.Challenge, example={"node": "5f0c2d0e-8a53-4d43-9d0b-6c6f1b8a7a11", "nonce": "0" * 32},
    ),
    ("GET", "/api/presets"): Operation(
        "The presets; their file where YAML is accepted",
        {200: (wire.PresetList, "application/yaml"), 404: wire.ErrorBody},
    ),
    ("GET", "/api/cpu_benchmark"): Operation(
        "Measure all cores; a score", {200: TEXT, 503: wire.ErrorBody},
        query=(Query("seconds", Annotated[float, Meta(ge=0.1, le=60)], "How long to measure; 10"),),
    ),
    ("GET", "/api/disk_benchmark"): Operation(
        "Measure the storage's disk", {200: wire.DiskSpeed, 503: wire.ErrorBody, 507: wire.ErrorBody}
    ),
    ("GET", "/api/_debug/detected_clients"): Operation(
        "The nodes that this one has seen", {200: Sequence[str], 404: wire.ErrorBody}
    ),
    ("POST", "/api/_debug/clear_history"): Operation(
        "Remove all jobs that have ended", {200: TEXT, 404: wire.ErrorBody}
    ),
}  # fmt: skip
