# Who may talk to whom, port by port. No rule names the whole world but the controller's way out, and there is no ssh: a
# session comes through SSM.

locals {
  # Consul's ports: https://developer.hashicorp.com/consul/docs/reference/architecture/ports
  between_members = {
    "server RPC"     = { protocol = "tcp", port = 8300 }
    "LAN gossip"     = { protocol = "tcp", port = 8301 }
    "LAN gossip UDP" = { protocol = "udp", port = 8301 }
    "WAN gossip"     = { protocol = "tcp", port = 8302 }
    "WAN gossip UDP" = { protocol = "udp", port = 8302 }
  }

  from_controller = {
    "HTTP API"  = { protocol = "tcp", port = 8500 }
    "HTTPS API" = { protocol = "tcp", port = 8501 }
  }

  from_clients = {
    "server RPC"     = { protocol = "tcp", port = 8300 }
    "LAN gossip"     = { protocol = "tcp", port = 8301 }
    "LAN gossip UDP" = { protocol = "udp", port = 8301 }
    "HTTPS API"      = { protocol = "tcp", port = 8501 }
    "DNS"            = { protocol = "tcp", port = 8600 }
    "DNS UDP"        = { protocol = "udp", port = 8600 }
  }

  clients = merge([
    for group in var.client_security_groups : {
      for name, rule in local.from_clients : "${group} ${name}" => merge(rule, { group = group, name = name })
    }
  ]...)
}

resource "aws_security_group" "member" {
  # checkov:skip=CKV2_AWS_5: hermitcrab gives it to the instances that it launches
  name        = "${var.cluster}-member"
  description = "Consul servers of ${var.cluster}"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.cluster}-member" }
}

resource "aws_security_group" "controller" {
  # checkov:skip=CKV2_AWS_5: for whatever runs the controller, which is not made here
  name        = "${var.cluster}-controller"
  description = "hermitcrab, the controller of ${var.cluster}"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.cluster}-controller" }
}

resource "aws_security_group" "endpoint" {
  name        = "${var.cluster}-endpoint"
  description = "AWS, as ${var.cluster} reaches it"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.cluster}-endpoint" }
}

# Members among themselves.

resource "aws_vpc_security_group_ingress_rule" "member_from_member" {
  for_each = local.between_members

  security_group_id            = aws_security_group.member.id
  referenced_security_group_id = aws_security_group.member.id
  description                  = "${each.key} from members"
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "member_to_member" {
  for_each = local.between_members

  security_group_id            = aws_security_group.member.id
  referenced_security_group_id = aws_security_group.member.id
  description                  = "${each.key} to members"
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.port
  to_port                      = each.value.port
}

# The controller asks each member.

resource "aws_vpc_security_group_ingress_rule" "member_from_controller" {
  for_each = local.from_controller

  security_group_id            = aws_security_group.member.id
  referenced_security_group_id = aws_security_group.controller.id
  description                  = "${each.key} from the controller"
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "controller_to_member" {
  for_each = local.from_controller

  security_group_id            = aws_security_group.controller.id
  referenced_security_group_id = aws_security_group.member.id
  description                  = "${each.key} to members"
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.port
  to_port                      = each.value.port
}

# Clients of the cluster; gossip goes both ways.

resource "aws_vpc_security_group_ingress_rule" "member_from_client" {
  for_each = local.clients

  security_group_id            = aws_security_group.member.id
  referenced_security_group_id = each.value.group
  description                  = "${each.value.name} from clients"
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "member_to_client" {
  for_each = { for key, rule in local.clients : key => rule if rule.port == 8301 }

  security_group_id            = aws_security_group.member.id
  referenced_security_group_id = each.value.group
  description                  = "${each.value.name} to clients"
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.port
  to_port                      = each.value.port
}

# Both reach AWS.

resource "aws_vpc_security_group_ingress_rule" "endpoint" {
  for_each = { members = aws_security_group.member.id, controller = aws_security_group.controller.id }

  security_group_id            = aws_security_group.endpoint.id
  referenced_security_group_id = each.value
  description                  = "AWS APIs from ${each.key}"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "to_endpoint" {
  for_each = { members = aws_security_group.member.id, controller = aws_security_group.controller.id }

  security_group_id            = each.value
  referenced_security_group_id = aws_security_group.endpoint.id
  description                  = "AWS APIs"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
}

resource "aws_vpc_security_group_egress_rule" "controller_to_git" {
  count = var.nat_gateway ? 1 : 0

  security_group_id = aws_security_group.controller.id
  description       = "a git host, wherever it is"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
