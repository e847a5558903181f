"""Phrases in providers' error messages, by meaning, in the languages that providers use."""

from __future__ import annotations

from moa_mcp.providers.failures.phrases import phrases

FILTERED = phrases(r"""
    content management policy|usage (?:policy|policies|guidelines)
    violat\w{1,4} .{0,60}(?:polic|guideline|terms)|safety system
    (?:input|prompt|content|request|messages?|text)\b.{0,60}\bflagged|flagged as potentially|requires moderation
    blocked by .{0,40}(?:polic|filter|safety)|inappropriate content|data inspection|prohibited (?:content|use)
    content (?:filter|moderation)|(?:unsafe|sensitive) (?:or sensitive )?(?:content|information|words)|敏感|不安全|违规
    不合规|content\b.{0,60} is blocked
""")
NO_MONEY = phrases(r"""
    insufficient[_ ](?:balance|quota|credits?|funds)|credit balance
    (?:out of|no|not enough|more|any|remaining|all available) credits
    credits? (?:has |have )?(?:expired|exhausted|depleted|used)
    used all (?:of )?(?:your |its |the )?.{0,20}credits|spending (?:limit|cap)|billing (?:hard )?limit
    budget (?:has been )?exceeded|exceeded .{0,20}budget|payment (?:is )?required|check your plan and billing
    exceeded your current quota
    (?:account|organi[sz]ation|team|workspace)\b.{0,60}\b(?:suspended|overdue|arrears|not active|deactivated)
    in good standing|\brecharge\b|top[- ]?up|add (?:more )?(?:credits|funds)
    quota (?:has been |is )?(?:exhausted|used up|depleted)
    (?:daily|monthly|weekly) (?:usage |request |quota |spend\w* )?(?:limit|quota)|余额不足|欠费|充值
    额度(?:已)?(?:不足|用尽|用完)|配额不足|limit: 0\b(?!\.)|reached your .{0,30}(?:usage|spend\w{0,3}) limit
    purchase (?:more )?credits|key limit exceeded
""")
BAD_KEY = phrases(r"""
    (?:invalid|incorrect|wrong|bad|missing|expired|revoked|leaked) (?:x-)?(?:api|access|auth\w*|proxy|bearer
        |subscription|virtual)?[ -]?(?:key|token|credentials?|server token)\b
    (?:api[ -]?key|token|credentials?|x-api-key)\b.{0,30}\b(?:invalid|not valid|expired|missing|required
        |incorrect|revoked|not found|wrong|reported as leaked|must be provided|disabled)
    \bunauthori[sz]ed\b|authentication (?:error|fail|require|is required|parameter|token)|not authenticated
    invalid authentication|authorization (?:failed|header)|forbidden|permission denied
    (?:not|isn't) (?:supported|available|allowed) in your (?:country|region|location)
    (?:country|region|location|territory)[ \w,]{0,30}(?:not supported|unsupported|blocked)
    user location is not supported|令牌|鉴权|认证失败|密钥
""")
TOO_OFTEN = phrases(r"""
    rate.?limit|too many (?:requests|concurrent)|throttl|requests? per (?:second|minute|hour|day)
    tokens per (?:second|minute|hour|day)|quota exceeded for|请求过于频繁|限流|频率|并发
""")
BUSY = phrases(r"""
    overloaded|over capacity|at capacity|capacity exceeded|high (?:traffic|demand|load)|temporarily unavailable
    service unavailable|server (?:is )?busy|internal (?:server )?error|(?:still |currently |is |being )loading
    loading (?:the )?model|model is (?:being )?load|warming up|starting up|cold start|not ready(?: yet)?
    try again (?:later|shortly)|稍后(?:再试|重试)|繁忙|超时
""")
NO_MODEL = phrases(r"""
    \bmodel\b.{0,120}\b(?:does not exist|doesn't exist|not found|not exist|isn't found|no longer (?:available
        |supported)|not deployed)
    \b(?:invalid|unknown|no such|unrecogni[sz]ed|unsupported) model\b|not a valid model|not found, try pulling
    no models? (?:is |are )?(?:currently )?loaded|no model (?:is )?(?:named|called)
    \bmodel\b.{0,160}\b(?:decommissioned|deprecated and|retired|been (?:removed|deprecated|shut down|discontinued))
    non-serverless|no endpoints found|does not support (?:chat|generatecontent)
    model `?[^`\s]{1,100}`? (?:is )?not (?:available|supported)|模型不存在|not (?:a )?supported model
    no available channel for model|is not a chat model
""")
NO_PATH = phrases(r"""
    unexpected endpoint|page not found|(?:invalid|unknown|no such|unrecogni[sz]ed) (?:url|path|route|endpoint)
    cannot post|no route (?:matched|found)|method not allowed|no static resource
""")
SYSTEM = phrases(r"""
    role\b.{0,30}(?:must be|should be|expected)\b.{0,40}\buser\b.{0,12}\bassistant\b
    (?:system|developer)[\s_-]?(?:role|messages?|prompts?|instructions?)['\"`]?.{0,60}?(?:not|n't|un)
        [\s-]?(?:be )?(?:enabled|supported|allowed|available|permitted|accepted|implemented)
    (?:not|n't|un)[\s-]?(?:support|allow|accept)(?:ed|s)?\b.{0,60}?(?:['\"`]?(?:system|developer)
        ['\"`]? ?(?:role|messages?|prompts?|instructions?)|role:? ?['\"`]?(?:system|developer)|['\"](?:system
        |developer)['\"])
    (?:unexpected|invalid|unsupported|unknown)\b.{0,20}\brole\b.{0,20}(?:system|developer)
    only user(?:,| and|/)? ?.{0,40}(?:assistant|model).{0,20}roles? (?:is|are) (?:supported|allowed)
    roles must alternate|system message must be|role only allows|input should be 'user'
    (?:system|developer)['\"`]? (?:is|was) not (?:one of|a valid)
    role ['\"`]?(?:system|developer)['\"`]? is (?:not|un|in)|jinja|template ?error|raise_exception
    (?:render|apply)\w* (?:the )?(?:prompt|chat)[ _-]?template|不支持.{0,20}(?:system|系统)
""")
NO_IMAGES = phrases(r"""
    image_url['\"`]? is only supported by|unknown variant ['\"`]?image_url|image input is not supported
    (?:not|n't)[\s-]?(?:be )?(?:support|accept|allow|enable|take)\w*\b.{0,40}\bimages?(?:_url)?\b(?! (?:url
        |format|type|media|size|with|at|larger))
    \bimages?(?:_url)?['\"`]? ?(?:inputs?|content|content blocks?|modality|understanding|parts?)?['\"`]? ?(?:is|are
        |was|were|input is) (?:not|un)[\s-]?(?:currently )?(?:support|accept|allow|enabl|available|permitted)
    no endpoints? found that supports? image|not a (?:multimodal|vision)\b|at most 0 image
    missing data required for image input|only supports? text|text[- ]only model|mmproj
    unsupported content type:? ?['\"`]?image|content type ['\"`]?image_url['\"`]? (?:is )?not supported
    content['\"`]? ?:? ?(?:value )?(?:must be|should be|expected) a(?: valid)? string|不支持.{0,10}(?:图片|图像)
""")
"""A model takes no images."""
BAD_IMAGE = phrases(r"""
    (?:could not|cannot|can't|unable to|failed to|error while|fail to) .{0,20}
        (?:process|decode|download|load|fetch|read|retrieve|open|parse|identify)\w*\b.{0,30}\bimages?\b
    invalid_image|invalid (?:base64 )?image|image_parse_error|unsupported image
    \bimage\b.{0,40}\b(?:too (?:large|big|small)|exceeds?|corrupt|invalid|not valid|dimensions)
    image (?:url|format|type|media type)s?\b.{0,30}\b(?:not|un)[\s-]?(?:support|allow|valid)
    (?:only|must be).{0,20}base64.{0,20}image|image.{0,40}(?:only|must be) .{0,20}base64
""")
"""A provider can't use an image."""
NO_TEMPLATE = phrases(r"""
    chat[_ ]template is not set|no chat[_ ]template|chat template is required
    does not (?:define|have) a chat[_ ]template|default chat template is no longer
""")
