# Allowed traffic, port by port. Only the controller's way to a git host names the whole world, and there is no ssh: sessions
# come through SSM.

locals {
  members    = { id = aws_security_group.member.id, name = "members" }
  controller = { id = aws_security_group.controller.id, name = "the controller" }
  clients    = [for id in var.client_security_groups : { id = id, name = "clients" }]

  gossip = {
    "LAN gossip"     = { protocol = "tcp", port = 8301 }
    "LAN gossip UDP" = { protocol = "udp", port = 8301 }
  }

  # By kind of application: the ports at which members reach each other, at which the controller and clients reach members, and at
  # which members reach clients.
  ports_by_kind = {
    # https://developer.hashicorp.com/consul/docs/reference/architecture/ports
    consul = {
      members = merge(local.gossip, {
        "server RPC"     = { protocol = "tcp", port = 8300 }
        "WAN gossip"     = { protocol = "tcp", port = 8302 }
        "WAN gossip UDP" = { protocol = "udp", port = 8302 }
      })
      controller = {
        "HTTP API"  = { protocol = "tcp", port = 8500 }
        "HTTPS API" = { protocol = "tcp", port = 8501 }
      }
      clients = merge(local.gossip, {
        "server RPC" = { protocol = "tcp", port = 8300 }
        "HTTPS API"  = { protocol = "tcp", port = 8501 }
        "DNS"        = { protocol = "tcp", port = 8600 }
        "DNS UDP"    = { protocol = "udp", port = 8600 }
      })
      to_clients = local.gossip
    }

    # https://etcd.io/docs/v3.5/op-guide/configuration/
    etcd = {
      members    = { "peers" = { protocol = "tcp", port = 2380 } }
      controller = { "clients" = { protocol = "tcp", port = 2379 } }
      clients    = { "clients" = { protocol = "tcp", port = 2379 } }
      to_clients = {}
    }

    # A standby follows the primary, and Patroni asks the others before it takes over. A load balancer asks it who leads.
    # https://patroni.readthedocs.io/en/latest/rest_api.html
    patroni = {
      members = {
        "PostgreSQL" = { protocol = "tcp", port = 5432 }
        "REST API"   = { protocol = "tcp", port = 8008 }
      }
      controller = { "REST API" = { protocol = "tcp", port = 8008 } }
      clients = {
        "PostgreSQL" = { protocol = "tcp", port = 5432 }
        "REST API"   = { protocol = "tcp", port = 8008 }
      }
      to_clients = {}
    }

    # Followers reach the leader at the first port, and everybody everybody at the second, in elections.
    # https://zookeeper.apache.org/doc/r3.9.3/zookeeperAdmin.html
    zookeeper = {
      members = {
        "the leader" = { protocol = "tcp", port = 2888 }
        "elections"  = { protocol = "tcp", port = 3888 }
      }
      controller = { "AdminServer" = { protocol = "tcp", port = 8080 } }
      clients    = { "clients" = { protocol = "tcp", port = 2181 } }
      to_clients = {}
    }

    command = {
      members    = var.command_ports.members
      controller = var.command_ports.controller
      clients    = var.command_ports.clients
      to_clients = {}
    }
  }

  ports = local.ports_by_kind[var.application]

  # Consul's gossip goes both ways between members and clients; everything else begins at the client.
  paths = concat(
    [
      { from = local.members, to = local.members, ports = local.ports.members },
      { from = local.controller, to = local.members, ports = local.ports.controller },
    ],
    [for client in local.clients : { from = client, to = local.members, ports = local.ports.clients }],
    [for client in local.clients : { from = local.members, to = client, ports = local.ports.to_clients }],
  )

  # One entry a port. Clients are told apart by the ids of their groups, which are known before anything is made.
  flows = merge([
    for path in local.paths : {
      for name, port in path.ports :
      join(" ", [
        path.from.name == "clients" ? path.from.id : path.from.name,
        "to",
        path.to.name == "clients" ? path.to.id : path.to.name,
        name,
      ]) => { name = name, from = path.from, to = path.to, protocol = port.protocol, port = port.port }
    }
  ]...)
}

resource "aws_security_group" "member" {
  # checkov:skip=CKV2_AWS_5: hermitcrab gives it to the instances that it launches
  name        = "${var.cluster}-member"
  description = "Members of ${var.cluster}"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.cluster}-member" }
}

resource "aws_security_group" "controller" {
  # checkov:skip=CKV2_AWS_5: for whatever runs the controller, which may not be made here
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

# Patroni's members reach the etcd that they stand on, whose own ground lets them in as clients.

resource "aws_vpc_security_group_egress_rule" "store" {
  for_each = var.store_security_groups

  security_group_id            = aws_security_group.member.id
  referenced_security_group_id = each.value
  description                  = "etcd"
  ip_protocol                  = "tcp"
  from_port                    = 2379
  to_port                      = 2379
}

# A flow is allowed at both ends, but for the clients' ends: their groups belong to somebody else.

resource "aws_vpc_security_group_ingress_rule" "flow" {
  for_each = { for key, flow in local.flows : key => flow if flow.to.name != "clients" }

  security_group_id            = each.value.to.id
  referenced_security_group_id = each.value.from.id
  description                  = "${each.value.name} from ${each.value.from.name}"
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.port
  to_port                      = each.value.port
}

resource "aws_vpc_security_group_egress_rule" "flow" {
  for_each = { for key, flow in local.flows : key => flow if flow.from.name != "clients" }

  security_group_id            = each.value.from.id
  referenced_security_group_id = each.value.to.id
  description                  = "${each.value.name} to ${each.value.to.name}"
  ip_protocol                  = each.value.protocol
  from_port                    = each.value.port
  to_port                      = each.value.port
}

# Members and the controller reach AWS.

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

resource "aws_vpc_security_group_egress_rule" "controller_to_s3" {
  security_group_id = aws_security_group.controller.id
  description       = "the bucket, and packages"
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
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
